/* SPDX-License-Identifier: MIT */
/* Outstanding claims: private memory only, so nothing here has to be believed or ordered. */
#include <errno.h>
#include <stdlib.h>

#include "ring/ring.h"

#define CLAIMS_FIRST 16

int ring_claims_open(struct ring_claims *claims)
{
    *claims = (struct ring_claims){ malloc(CLAIMS_FIRST * sizeof *claims->item), CLAIMS_FIRST, 0, 0 };
    return claims->item ? 0 : -ENOMEM;
}

void ring_claims_close(struct ring_claims *claims)
{
    free(claims->item);
    *claims = (struct ring_claims){ NULL, 0, 0, 0 };
}

/* The number of a claim is its name outside, so it keeps it as the array grows. */
int ring_claims_grow(struct ring_claims *claims)
{
    struct ring_claims wider = { malloc(2 * claims->size * sizeof *claims->item), 2 * claims->size, claims->first,
                                 claims->next };
    if (!wider.item)
        return -ENOMEM;
    for (uint64_t n = claims->first; n < claims->next; n++)
        *ring_claim_at(&wider, n) = *ring_claim_at(claims, n);
    free(claims->item);
    *claims = wider;
    return 0;
}
