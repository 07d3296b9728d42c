/* SPDX-License-Identifier: MIT */
/* Outstanding claims: private memory only, so nothing here has to be believed or ordered. */
#include <errno.h>
#include <stdlib.h>

#include "base/hot.h"
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
static int grow(struct ring_claims *claims)
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

HOT int ring_claims_push(struct ring_claims *claims, uint64_t start, uint64_t end, uint64_t *ret_claim)
{
    int r = claims->next - claims->first == claims->size ? grow(claims) : 0;
    if (r < 0)
        return r;
    *ret_claim = claims->next++;
    *ring_claim_at(claims, *ret_claim) = (struct ring_claim){ .start = start, .end = end };
    return 0;
}

HOT struct ring_claim *ring_claims_find(const struct ring_claims *claims, uint64_t claim)
{
    if (claim < claims->first || claim >= claims->next)
        return NULL;
    struct ring_claim *found = ring_claim_at(claims, claim);
    return found->settled ? NULL : found;
}

HOT bool ring_claims_advance(struct ring_claims *claims, uint64_t *ret_end)
{
    bool moved = false;
    while (claims->first < claims->next && ring_claim_at(claims, claims->first)->settled) {
        *ret_end = ring_claim_at(claims, claims->first++)->end;
        moved = true;
    }
    return moved;
}
