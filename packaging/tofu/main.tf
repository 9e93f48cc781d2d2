# One machine with SignalCraft behind Caddy: its volume, its address, and what it is told when it starts for the first time.

locals {
  host  = "${var.name}.${var.domain}"
  label = "signalcraft-${var.environment}"

  # What differs between the three, and nothing else does. docs/how-to/provision.md says why.
  sizes = {
    dev        = { droplet = "s-1vcpu-1gb", volume_gb = 10, machine_backups = false, replica = false, profile = "staging" }
    staging    = { droplet = "s-1vcpu-2gb", volume_gb = 10, machine_backups = false, replica = true, profile = "staging" }
    production = { droplet = "s-2vcpu-4gb", volume_gb = 50, machine_backups = true, replica = true, profile = "production" }
  }
  size = local.sizes[var.environment]

  # The data lie on a volume that outlives the machine.
  data_device = "/dev/disk/by-id/scsi-0DO_Volume_${local.label}"

  # The same first start as without this module, with the words of this box in it.
  first_start = yamldecode(
    replace(
      replace(
        replace(
          file("${path.module}/../cloud-init/user-data.yaml"),
          "alerts.example.com", local.host
        ),
        "https://releases.example.com/signalcraft_amd64.deb", var.package_url
      ),
      "SHA256-OF-THE-PACKAGE", var.package_sha256
    )
  )

  # A bucket's key is made for this box alone, and may do nothing but read and write there.
  replica_settings = local.size.replica ? join("\n", [
    "",
    "[replica]",
    "url = \"s3://${digitalocean_spaces_bucket.replica[0].name}/${local.label}?endpoint=https://${var.region}.digitaloceanspaces.com&region=${var.region}\"",
    "access_key_id = \"${digitalocean_spaces_key.replica[0].access_key}\"",
    "secret_access_key = \"${digitalocean_spaces_key.replica[0].secret_key}\"",
    "",
  ]) : ""

  files = [
    for file in local.first_start.write_files : merge(file, {
      content = file.path == "/etc/signalcraft/signalcraft.toml" ? join("", [
        "profile = \"${local.size.profile}\"\n", file.content, local.replica_settings,
      ]) : file.content
    })
  ]

  user_data = "#cloud-config\n${yamlencode(merge(local.first_start, {
    write_files = local.files
    mounts = [
      [local.data_device, "/var/lib/signalcraft", "ext4", "defaults,noatime,nofail,x-systemd.device-timeout=60s", "0", "2"],
    ]
  }))}"
}

resource "digitalocean_vpc" "box" {
  name   = local.label
  region = var.region
}

# DigitalOcean encrypts volumes at rest.
resource "digitalocean_volume" "data" {
  name                    = local.label
  region                  = var.region
  size                    = local.size.volume_gb
  initial_filesystem_type = "ext4"
  description             = "The data directory of SignalCraft: everything that is worth keeping."

  lifecycle {
    prevent_destroy = true
  }
}

resource "digitalocean_droplet" "box" {
  name              = local.label
  region            = var.region
  size              = local.size.droplet
  image             = "debian-12-x64"
  vpc_uuid          = digitalocean_vpc.box.id
  ipv6              = true
  monitoring        = false
  backups           = local.size.machine_backups
  graceful_shutdown = true
  ssh_keys          = var.ssh_key_fingerprints
  volume_ids        = [digitalocean_volume.data.id]
  user_data         = local.user_data
  tags              = [local.label]

  lifecycle {
    # What a machine was told at its first start cannot be told again: a newer package comes by apt or by the Ansible role,
    # not by another machine.
    ignore_changes = [user_data, ssh_keys]
  }
}

# The address stays when the machine is made anew.
resource "digitalocean_reserved_ip" "box" {
  region     = var.region
  droplet_id = digitalocean_droplet.box.id
}

resource "digitalocean_firewall" "box" {
  name        = local.label
  droplet_ids = [digitalocean_droplet.box.id]

  inbound_rule {
    protocol         = "tcp"
    port_range       = "443"
    source_addresses = ["0.0.0.0/0", "::/0"]
  }

  inbound_rule {
    protocol         = "udp"
    port_range       = "443"
    source_addresses = ["0.0.0.0/0", "::/0"]
  }

  inbound_rule {
    protocol         = "tcp"
    port_range       = "80"
    source_addresses = ["0.0.0.0/0", "::/0"]
  }

  inbound_rule {
    protocol         = "tcp"
    port_range       = "22"
    source_addresses = var.admin_networks
  }

  outbound_rule {
    protocol              = "tcp"
    port_range            = "1-65535"
    destination_addresses = ["0.0.0.0/0", "::/0"]
  }

  outbound_rule {
    protocol              = "udp"
    port_range            = "1-65535"
    destination_addresses = ["0.0.0.0/0", "::/0"]
  }

  outbound_rule {
    protocol              = "icmp"
    destination_addresses = ["0.0.0.0/0", "::/0"]
  }
}
