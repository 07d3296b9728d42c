/* SPDX-License-Identifier: MIT */
/* UCX: tag matching (UCP) over its transports for one machine. */
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <ucp/api/ucp.h>

#include "bench/peers/peer.h"

#define TAG 7

struct shared {
    struct { atomic_uint known, over; size_t size; uint8_t address[8192]; } end[2];
};

struct side {
    struct shared *shared;
    ucp_context_h context;
    ucp_worker_h worker;
    ucp_ep_h endpoint;
    int wakes; /* a descriptor, or -1: spin */
    unsigned sent;
};

static void must(const struct end *end, ucs_status_t status, const char *what)
{
    if (status != UCS_OK)
        end_missing(end, "%s: %s", what, ucs_status_string(status));
}

static void exchange(struct end *end, struct side *side)
{
    ucp_address_t *address;
    size_t size;
    int role = end->job.role;
    must(end, ucp_worker_get_address(side->worker, &address, &size), "ucp_worker_get_address");
    if (size > sizeof side->shared->end[0].address)
        end_missing(end, "an address of %zu bytes", size);
    memcpy(side->shared->end[role].address, address, size);
    atomic_store(&side->shared->end[role].known, 1);
    while (!atomic_load(&side->shared->end[!role].known))
        sched_yield();
    ucp_ep_params_t to = { .field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS,
                           .address = (ucp_address_t *)(void *)side->shared->end[!role].address };
    must(end, ucp_ep_create(side->worker, &to, &side->endpoint), "ucp_ep_create");
}

static void enter(struct end *end)
{
    struct side *side = calloc(1, sizeof *side);
    ucp_params_t params = { .field_mask = UCP_PARAM_FIELD_FEATURES,
                            .features = UCP_FEATURE_TAG | (end->job.spin ? 0 : UCP_FEATURE_WAKEUP) };
    ucp_worker_params_t worker = { .field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
                                   .thread_mode = UCS_THREAD_MODE_SINGLE };
    setenv("UCX_TLS", "posix,sysv,cma,self", 0);
    side->shared = peer_shared(end, "ucx", sizeof *side->shared, NULL);
    side->wakes = -1;
    must(end, ucp_init(&params, NULL, &side->context), "ucp_init");
    must(end, ucp_worker_create(side->context, &worker, &side->worker), "ucp_worker_create");
    exchange(end, side);
    if (!end->job.spin)
        must(end, ucp_worker_get_efd(side->worker, &side->wakes), "ucp_worker_get_efd");
    end->own = side;
}

static void progress(struct end *end)
{
    struct side *side = end->own;
    if (ucp_worker_progress(side->worker))
        return;
    if (side->wakes < 0)
        end_look(end);
    else if (ucp_worker_arm(side->worker) == UCS_OK)
        poll(&(struct pollfd){ side->wakes, POLLIN, 0 }, 1, -1);
}

static void finish(struct end *end, ucs_status_ptr_t request)
{
    if (!request)
        return;
    if (UCS_PTR_IS_ERR(request))
        end_missing(end, "%s", ucs_status_string(UCS_PTR_STATUS(request)));
    while (ucp_request_check_status(request) == UCS_INPROGRESS)
        progress(end);
    ucp_request_free(request);
}

static void send_all(struct end *end, const uint8_t *data, unsigned count)
{
    struct side *side = end->own;
    ucp_request_param_t plain = { .op_attr_mask = 0 };
    for (; count; count--, data += end->job.size) {
        finish(end, ucp_tag_send_nbx(side->endpoint, data, end->job.size, TAG, &plain));
        if (++side->sent % 64 == 0)
            ucp_worker_progress(side->worker);
    }
}

static unsigned receive(struct end *end, const uint8_t **ret)
{
    struct side *side = end->own;
    ucp_request_param_t plain = { .op_attr_mask = 0 };
    finish(end, ucp_tag_recv_nbx(side->worker, end->buffer, end->job.size, TAG, UINT64_MAX, &plain));
    *ret = end->buffer;
    return 1;
}

/* Both have to go on until all that was sent has arrived. */
static void leave(struct end *end)
{
    struct side *side = end->own;
    ucp_request_param_t plain = { .op_attr_mask = 0 };
    ucs_status_ptr_t request = ucp_worker_flush_nbx(side->worker, &plain);
    while (UCS_PTR_IS_PTR(request) && ucp_request_check_status(request) == UCS_INPROGRESS)
        ucp_worker_progress(side->worker);
    atomic_store(&side->shared->end[end->job.role].over, 1);
    while (!atomic_load(&side->shared->end[!end->job.role].over)) {
        ucp_worker_progress(side->worker);
        sched_yield();
    }
}

int main(int argc, char **argv)
{
    static const struct peer peer = {
        { enter, send_all, receive, NULL, NULL, leave },
        "name UCX (tags)\nwaiting spin\nwaiting sleep\n", NULL,
    };
    return peer_main(argc, argv, &peer);
}
