export function sorted(rows, key) {
  return [...rows].sort((one, other) => other[key] - one[key]);
}
