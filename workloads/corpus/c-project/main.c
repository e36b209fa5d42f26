#include <stdio.h>
#include "parser.h"
#include "codec.h"
#include "store.h"

/* The sum of all libraries: a wrong or missing object changes it. */
int main(void)
{
    printf("%d\n", parser_0(3) + codec_11(5) + store_7(7));
    return 0;
}
