#include <stdio.h>
#include "/shared/version.h"

int main(void)
{
    puts("worker " VERSION);
    return 0;
}
