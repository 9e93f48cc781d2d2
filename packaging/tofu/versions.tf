terraform {
  # OpenTofu and Terraform from 1.6 on; a state that locks itself in its bucket needs 1.10.
  required_version = ">= 1.6.0"

  required_providers {
    digitalocean = {
      source  = "digitalocean/digitalocean"
      version = "~> 2.50"
    }
  }
}
