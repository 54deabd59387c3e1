/* test_http_calls.c - what an exchange costs in system calls: sendmsg, recv and poll of this
 * program count those of the calling thread. The peers run in other threads and do not count. */
#include "http_asks.h"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static _Thread_local int sends, receives, polls, pieces_max;

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    sends++;
    if ((int)message->msg_iovlen > pieces_max)
        pieces_max = (int)message->msg_iovlen;
    return syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t recv(int fd, void *data, size_t len, int flags)
{
    receives++;
    return syscall(SYS_recvfrom, fd, data, len, flags, NULL, NULL);
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    polls++;
#ifdef SYS_poll
    return (int)syscall(SYS_poll, fds, count, timeout_ms);
#else
    struct timespec limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};

    return (int)syscall(SYS_ppoll, fds, count, timeout_ms < 0 ? NULL : &limit, NULL, 0);
#endif
}

static void serve(peer *p, int fd, int nth)
{
    peer_asked got;

    (void)nth;
    while (peer_request(p, fd, &got))
        peer_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

int main(void)
{
    static char body[65536];
    int best = 1000, waits = 0;
    om__http *http;
    asked a;
    peer p;

    peer_start(&p, serve, NULL);
    http = pool(p.port, 20000, 60000);
    put(&a, http, body, sizeof body);
    for (int i = 0; i < 50; i++) {
        sends = receives = polls = 0;
        put(&a, http, body, 1024);
        if (a.rc != OM_OK)
            break;
        if (sends + receives + polls < best) {
            best = sends + receives + polls;
            waits = polls;
        }
    }
    OK(a.rc == OM_OK && pieces_max == 2, "head and body go out in one sendmsg");
    OK(best == 2 && waits == 0, "a small PUT on a kept connection costs two system calls: %d",
       best);
    sends = receives = polls = 0;
    ask(&a, http, "POST", body, 1024, 0);
    OK(a.rc == OM_OK && sends == 1 && receives == 2 && polls == 0,
       "a POST costs a third: it looks before");
    om__http_free(http);
    peer_stop(&p);
    return tap_done();
}
