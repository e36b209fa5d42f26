variable "REG" { default = "reg.example" }
group "default" { targets = ["app", "tools"] }
target "_base" {
  dockerfile = "df"
  args = { A = "1", B = "base" }
  labels = { "x.y" = "y" }
  platforms = ["linux/amd64"]
  cache-from = ["user/app:cache", { type = "gha", scope = "a" }, "type=local,src=./c"]
  output = [{ type = "image", push = "true" }]
  secret = [{ id = "tok", src = "./tok" }, "id=other,env=HOME"]
  attest = ["type=provenance,mode=max", { type = "sbom" }]
  annotations = ["index:foo=bar"]
}
target "app" {
  name = "app-${tgt}-${replace(ver, ".", "-")}"
  matrix = {
    tgt = ["web", "api"]
    ver = ["1.0", "2.1"]
  }
  inherits = ["_base"]
  target = tgt
  args = { B = ver, C = null }
  tags = ["${REG}/${tgt}:${ver}", REG != "" ? "${REG}/x" : ""]
  ulimits = ["nofile=1024:2048"]
  shm-size = "128m"
  extra-hosts = { h = "10.0.0.1" }
  network = "host"
  entitlements = ["security.insecure"]
}
target "tools" {
  inherits = ["_base", "mid"]
  contexts = { app = "target:app-web-1-0", img = "docker-image://alpine", dir = "./d" , gone = "" }
  dockerfile-inline = <<EOT
FROM app
RUN echo $${X} <>&
EOT
  tags = [for t in target._base.platforms : "p/${basename(t)}"]
  resources = { memory = "1g", cpu-shares = 512 }
}
target "mid" {
  args = { B = "mid", D = target._base.args.A }
  no-cache = true
  pull = false
  context = "./sub/../sub2"
  description = "the middle"
  call = "check"
}
