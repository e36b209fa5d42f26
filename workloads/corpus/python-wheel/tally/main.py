"""The command."""
import sys
from collections import Counter


def main() -> None:
    """Prints the ten most frequent words of standard input."""
    words = Counter(word for line in sys.stdin for word in line.split())
    for word, count in words.most_common(10):
        print(count, word)


if __name__ == "__main__":
    main()
