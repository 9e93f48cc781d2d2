resource "digitalocean_record" "ipv4" {
  domain = var.domain
  type   = "A"
  name   = var.name
  value  = digitalocean_reserved_ip.box.ip_address
  ttl    = 300
}

# An IPv6 address goes with its machine: it changes when the machine is made anew.
resource "digitalocean_record" "ipv6" {
  domain = var.domain
  type   = "AAAA"
  name   = var.name
  value  = digitalocean_droplet.box.ipv6_address
  ttl    = 300
}

# Only Let's Encrypt, and ZeroSSL, which Caddy turns to when that one is away, may make certificates for this name.
resource "digitalocean_record" "caa" {
  for_each = toset(["letsencrypt.org.", "sectigo.com."])

  domain = var.domain
  type   = "CAA"
  name   = var.name
  value  = each.value
  flags  = 0
  tag    = "issue"
  ttl    = 300
}
