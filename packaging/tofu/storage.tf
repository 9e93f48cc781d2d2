# Where the replica of the database is kept (docs/how-to/replicate.md), and the key that reaches it alone.

resource "digitalocean_spaces_bucket" "replica" {
  count = local.size.replica ? 1 : 0

  name          = "${local.label}-${replace(var.domain, ".", "-")}"
  region        = var.region
  acl           = "private"
  force_destroy = false

  # What is overwritten or deleted can be had back for a month: also when it was somebody who broke into the box.
  versioning {
    enabled = true
  }

  lifecycle_rule {
    id                                     = "earlier-versions"
    enabled                                = true
    abort_incomplete_multipart_upload_days = 7

    noncurrent_version_expiration {
      days = 30
    }
  }
}

resource "digitalocean_spaces_key" "replica" {
  count = local.size.replica ? 1 : 0

  name = "${local.label}-replica"

  grant {
    bucket     = digitalocean_spaces_bucket.replica[0].name
    permission = "readwrite"
  }
}
