environment          = "production"
name                 = "alerts"
domain               = "example.com"
region               = "fra1"
ssh_key_fingerprints = ["00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff"]
admin_networks       = ["198.51.100.0/24"]
package_url          = "https://releases.example.com/signalcraft_amd64.deb"
package_sha256       = "0000000000000000000000000000000000000000000000000000000000000000"
