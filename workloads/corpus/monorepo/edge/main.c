#include <stdio.h>
#include "/shared/version.h"

int main(void)
{
    puts("edge " VERSION);
    return 0;
}
