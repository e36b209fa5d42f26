target "own" {
  dockerfile = "D"
  contexts = {
    local = "../shared"
    here = "cwd://here"
    image = "docker-image://alpine"
    away = "https://example.com/a.git"
  }
}
target "given" {
  context = "src"
}
target "child" {
  inherits = ["own"]
}
target "fixed" {
  context = "/fixed"
}
