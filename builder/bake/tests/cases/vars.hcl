variable "A" {
  default = "x"
  description = "first"
}
variable "N" { default = 3 }
variable "B" { default = true }
variable "L" {
  type = list(string)
  default = ["a", "b"]
}
variable "M" {
  type = map(number)
  default = { k = 1 }
}
variable "O" {
  type = object({ a = string, b = optional(number) })
  default = { a = "q" }
}
variable "U" { type = string }
variable "V" {}
variable "T" { default = ["x", 1] }
function "tag" {
  params = [name]
  variadic_params = rest
  result = "${name}-${join("_", rest)}-${N}"
}
GLOBAL = "${A}!"
group "all" {
  description = "everything"
  targets = ["z", "y"]
}
target "z" {
  args = { a = A, n = N, b = B, l = jsonencode(L), m = jsonencode(M), o = jsonencode(O), u = U == null ? "null" : U, v = V, t = jsonencode(T), g = GLOBAL, c = BAKE_CMD_CONTEXT, p = BAKE_LOCAL_PLATFORM }
  tags = [tag("n", "1", "2")]
}
target "y" {
  description = "why"
  inherits = ["z"]
}
target "_hidden" {}
