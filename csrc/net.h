/* net.h - sockets with deadlines: the only file that opens one. Non-blocking inside, close-on-exec,
 * no SIGPIPE, TCP_NODELAY, IPv6 and IPv4 tried side by side (RFC 8305 in small). A signal never
 * ends a wait early and never makes one longer. */
#ifndef OM_NET_H
#define OM_NET_H

#include "error.h"
#include "text.h"

enum { OM__READABLE = 1, OM__WRITABLE = 2 };

/* What a single attempt answers beside a count of bytes. */
enum { OM__NET_BROKEN = -1, OM__NET_CLOSED = -2 };

/* Milliseconds of the monotonic clock. */
int64_t om__now_ms(void);
/* Seconds of the wall clock since 1970. */
int64_t om__wall_s(void);

typedef struct om__deadline {
    int64_t total_at;       /* monotonic ms: the exchange ends by then */
    uint32_t io_timeout_ms; /* without a single byte moving */
} om__deadline;

/* Connects to host:port within `timeout_ms`. host may be an IPv6 literal without brackets. At most
 * 8 addresses are tried, the families in turn, the next one 250 ms after the last or at once when
 * one fails; the first to answer wins. The name is looked up by getaddrinfo, which cannot be
 * interrupted: its own limits (resolv.conf; by default 5 s a try, 2 tries a server) may go beyond
 * timeout_ms, and then OM_E_TIMEOUT comes as late as its answer. Literals do not wait. Returns the
 * descriptor (>= 0); OM_E_NETWORK, OM_E_TIMEOUT. */
int om__net_connect(const char *host, uint16_t port, uint32_t timeout_ms, om_error *err);

/* Prepares for om__net_receive_wait. Returns OM_OK; OM_E_NETWORK. */
int om__net_set_io_timeout(int fd, uint32_t io_timeout_ms, om_error *err);

/* Waits for readable (1) and/or writable (2). Returns the mask that is ready; OM_E_TIMEOUT,
 * OM_E_NETWORK. */
int om__net_wait(int fd, int mask, const om__deadline *deadline, om_error *err);

/* One non-blocking attempt. > 0: bytes moved; 0: would block; OM__NET_BROKEN: reset or broken;
 * receive: OM__NET_CLOSED. At most 4 parts. After a reset, bytes that came before it can still be
 * received. */
int64_t om__net_send(int fd, const om__span *parts, int count);
int64_t om__net_receive(int fd, void *data, size_t len);

/* Receives at least one byte within the deadline; one system call, whether the bytes are there
 * already or not. The descriptor went through om__net_set_io_timeout with the same io_timeout_ms.
 * Returns the bytes (> 0), 0: the peer closed; OM_E_NETWORK, OM_E_TIMEOUT. */
int64_t om__net_receive_wait(int fd, void *data, size_t len, const om__deadline *deadline,
                             om_error *err);

/* 1: the peer closed or sent something although nothing was asked (a kept-alive connection gone
 * stale). */
int om__net_is_stale(int fd);

void om__net_close(int fd);

#endif
