target "_base" {
  platforms = ["linux/amd64,linux/arm64"]
}
