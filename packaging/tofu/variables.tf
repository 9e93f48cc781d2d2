variable "environment" {
  description = "Which of the three this is; it decides the sizes below (main.tf, local.sizes)."
  type        = string

  validation {
    condition     = contains(["dev", "staging", "production"], var.environment)
    error_message = "The environment is dev, staging or production."
  }
}

variable "domain" {
  description = "The zone, which DigitalOcean's name servers already answer for: example.com."
  type        = string
}

variable "name" {
  description = "The name below the zone: alerts makes alerts.example.com."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.name))
    error_message = "The name is one label of a host name, in lower case."
  }
}

variable "region" {
  description = "Where the machine, its volume and the bucket stand."
  type        = string
  default     = "fra1"
}

variable "ssh_key_fingerprints" {
  description = "The SSH keys, already known to DigitalOcean, that may come in."
  type        = list(string)

  validation {
    condition     = length(var.ssh_key_fingerprints) > 0
    error_message = "At least one key: nobody comes in by password."
  }
}

variable "admin_networks" {
  description = "Networks that reach SSH."
  type        = list(string)

  validation {
    condition     = alltrue([for network in var.admin_networks : can(cidrhost(network, 0)) && !startswith(network, "0.0.0.0/0")])
    error_message = "Networks in CIDR, and not the whole internet."
  }
}

variable "package_url" {
  description = "Where the .deb of a release lies."
  type        = string

  validation {
    condition     = startswith(var.package_url, "https://")
    error_message = "An https:// address."
  }
}

variable "package_sha256" {
  description = "The checksum of that file, from SHA256SUMS of the release."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.package_sha256))
    error_message = "64 hexadecimal digits."
  }
}
