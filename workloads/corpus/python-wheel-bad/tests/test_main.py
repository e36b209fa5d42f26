import io
import sys
import unittest

from tally.main import main


class Counts(unittest.TestCase):
    def test_most_common_first(self):
        sys.stdin, sys.stdout = io.StringIO("a b a\n"), io.StringIO()
        main()
        self.assertEqual(sys.stdout.getvalue(), "2 a\n1 b\n")


if __name__ == "__main__":
    unittest.main()
