output "url" {
  description = "Where SignalCraft is, some minutes after the first apply."
  value       = "https://${local.host}"
}

output "address" {
  description = "The machine's address, which stays."
  value       = digitalocean_reserved_ip.box.ip_address
}

output "owner_code" {
  description = "What shows the code that makes the owner."
  value       = "ssh root@${digitalocean_reserved_ip.box.ip_address} journalctl -u signalcraft | grep code"
}

output "replica" {
  description = "The bucket of the replica, null where there is none."
  value       = one(digitalocean_spaces_bucket.replica[*].name)
}
