group "default" {
  targets = ["variant"]
}

variable "RELEASE" {
  default = "1.0"
}

target "variant" {
  name = "variant-${flavour}-${level}"
  matrix = {
    flavour = ["plain", "debug", "trace"]
    level   = ["0", "1", "2", "3"]
  }
  args = {
    FLAVOUR = flavour
    LEVEL   = level
    RELEASE = RELEASE
  }
  tags = ["matrix/${flavour}:${RELEASE}-${level}"]
}
