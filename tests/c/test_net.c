/* test_net.c - net.c against sockets of this machine: connecting (names come from this file's own
 * getaddrinfo), waiting, deadlines, signals, resets. */
#include "net.h"
#include "peer.h"
#include "tap.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

/* ---- names: a resolver under the test's control ---- */

static int resolver_error;       /* what the next look-up of a name gives; 0: the list below */
static int resolver_families[4]; /* the families of the addresses of "both.test", in order */

static struct addrinfo *address(int family, int number, uint16_t port)
{
    struct addrinfo *info = calloc(1, sizeof *info + sizeof(struct sockaddr_in6));
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 six = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};

    if (!info)
        abort();
    four.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)number);
    info->ai_family = family;
    info->ai_socktype = SOCK_STREAM;
    info->ai_addr = (struct sockaddr *)(info + 1);
    info->ai_addrlen = family == AF_INET ? sizeof four : sizeof six;
    memcpy(info->ai_addr, family == AF_INET ? (void *)&four : (void *)&six, info->ai_addrlen);
    return info;
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **list)
{
    uint16_t port = (uint16_t)atoi(service);
    struct addrinfo **end = list;
    struct in6_addr ignored;

    *list = NULL;
    if (inet_pton(AF_INET, host, &ignored) == 1)
        *list = address(AF_INET, 0, port);
    else if (inet_pton(AF_INET6, host, &ignored) == 1)
        *list = address(AF_INET6, 0, port);
    else if (hints->ai_flags & AI_NUMERICHOST)
        return EAI_NONAME;
    else if (resolver_error)
        return resolver_error;
    for (int i = 0, fours = 0; (!*list || end != list) && i < 4 && resolver_families[i]; i++) {
        *end = address(resolver_families[i], fours, port);
        fours += resolver_families[i] == AF_INET;
        end = &(*end)->ai_next;
    }
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    while (list) {
        struct addrinfo *next = list->ai_next;

        free(list);
        list = next;
    }
}

static void families(int a, int b, int c, int d)
{
    int all[4] = {a, b, c, d};

    memcpy(resolver_families, all, sizeof all);
}

/* ---- connecting ---- */

static void serve_quietly(peer *p, int fd, int nth)
{
    (void)nth;
    peer_drain(p, fd);
}

static void test_connect(void)
{
    om_error err;
    peer p;
    int fd, on = 0;
    socklen_t len = sizeof on;

    peer_start(&p, serve_quietly, NULL);
    fd = om__net_connect("127.0.0.1", p.port, 5000, &err);
    OK(fd >= 0, "connects to a literal");
    OK(fcntl(fd, F_GETFD) & FD_CLOEXEC, "close-on-exec");
    getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len);
    OK(on, "TCP_NODELAY");
    om__net_close(fd);
    families(AF_INET, 0, 0, 0);
    fd = om__net_connect("one.test", p.port, 5000, &err);
    OK(fd >= 0, "connects to a name");
    om__net_close(fd);
    families(AF_INET6, AF_INET, 0, 0);
    fd = om__net_connect("both.test", p.port, 5000, &err);
    OK(fd >= 0, "IPv6 first refuses or is missing: IPv4 answers");
    om__net_close(fd);
    peer_stop(&p);
    fd = om__net_connect("127.0.0.1", p.port, 5000, &err);
    OK(fd == OM_E_NETWORK && strstr(err.message, "127.0.0.1 port") &&
           strstr(err.message, "refused"),
       "refused: %s", err.message);
    families(AF_INET6, AF_INET, AF_INET, 0);
    fd = om__net_connect("both.test", p.port, 5000, &err);
    OK(fd == OM_E_NETWORK, "every address refuses: %s", err.message);
    om__net_close(-1);
}

static void test_names(void)
{
    static const int errors[] = {EAI_NONAME, EAI_AGAIN, EAI_FAIL, EAI_MEMORY};
    om_error err;

    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        resolver_error = errors[i];
        OK(om__net_connect("gone.test", 80, 1000, &err) == OM_E_NETWORK &&
               strncmp(err.message, "gone.test: ", 11) == 0,
           "look-up fails: %s", err.message);
    }
    resolver_error = 0;
}

/* A listener whose queue is full drops SYNs: a black hole. Returns the descriptors that fill it. */
static int dig_hole(peer *hole, int family, uint16_t port, int fill[8])
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};

    if (!peer_listen(hole, family, port, 0))
        return 0;
    four.sin_port = six.sin6_port = htons(hole->port);
    four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 8; i++) {
        fill[i] = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fill[i],
                      family == AF_INET ? (struct sockaddr *)&four : (struct sockaddr *)&six,
                      family == AF_INET ? sizeof four : sizeof six);
    }
    return 1;
}

static void fill_hole(peer *hole, const int fill[8])
{
    for (int i = 0; i < 8; i++)
        close(fill[i]);
    close(hole->listener);
}

static void test_black_hole(void)
{
    om_error err;
    peer hole, p;
    int fill[8], fd;

    if (!dig_hole(&hole, AF_INET, 0, fill))
        abort();
    fd = om__net_connect("127.0.0.1", hole.port, 100, &err);
    OK(fd == OM_E_TIMEOUT && strstr(err.message, "connect_timeout_ms"),
       "a black hole ends by the deadline: %s", err.message);
    fd = om__net_connect("127.0.0.1", hole.port, 0, &err);
    OK(fd == OM_E_TIMEOUT, "no time at all");
    fill_hole(&hole, fill);
    peer_start(&p, serve_quietly, NULL);
    if (dig_hole(&hole, AF_INET6, p.port, fill)) {
        families(AF_INET6, AF_INET, 0, 0);
        fd = om__net_connect("both.test", p.port, 10000, &err);
        OK(fd >= 0, "IPv6 is a black hole: IPv4 wins long before the deadline");
        om__net_close(fd);
        fill_hole(&hole, fill);
    } else {
        printf(
            "ok %d - # SKIP IPv6 is a black hole: this machine has no ::1 or the port is taken\n",
            ++tap_count);
    }
    families(AF_INET, AF_INET, AF_INET, AF_INET); /* 127.0.0.1 listens, 127.0.0.2-4 refuse */
    fd = om__net_connect("both.test", p.port, 10000, &err);
    OK(fd >= 0, "four addresses, the first wins");
    om__net_close(fd);
    peer_stop(&p);
}

/* ---- waiting and moving ---- */

static om__deadline within(int64_t total_ms, uint32_t io_ms)
{
    om__deadline deadline = {om__now_ms() + total_ms, io_ms};

    return deadline;
}

static void pair(int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
        abort();
}

static void test_wait(void)
{
    om__deadline deadline = within(60000, 30);
    om_error err;
    int fds[2];

    pair(fds);
    OK(om__net_wait(fds[0], OM__WRITABLE, &deadline, &err) == OM__WRITABLE, "writable");
    OK(om__net_wait(fds[0], OM__READABLE | OM__WRITABLE, &deadline, &err) == OM__WRITABLE,
       "writable but not readable");
    OK(om__net_wait(fds[0], OM__READABLE, &deadline, &err) == OM_E_TIMEOUT &&
           strstr(err.message, "30 ms (io_timeout_ms)"),
       "io deadline: %s", err.message);
    deadline = within(30, 60000);
    OK(om__net_wait(fds[0], OM__READABLE, &deadline, &err) == OM_E_TIMEOUT &&
           strstr(err.message, "longer than its limit"),
       "total deadline: %s", err.message);
    OK(om__net_wait(fds[0], OM__WRITABLE, &deadline, &err) == OM_E_TIMEOUT,
       "past the total deadline even what is ready is late");
    deadline = within(60000, 60000);
    if (write(fds[1], "x", 1) != 1)
        abort();
    OK(om__net_wait(fds[0], OM__READABLE | OM__WRITABLE, &deadline, &err) ==
           (OM__READABLE | OM__WRITABLE),
       "both");
    close(fds[1]);
    OK(om__net_wait(fds[0], OM__READABLE, &deadline, &err) == OM__READABLE,
       "a hang-up is readable");
    close(fds[0]);
}

static void test_send(void)
{
    static char block[65536];
    om__span parts[4] = {{"one", 3}, {NULL, 0}, {"two", 3}, {"three", 5}};
    char back[16] = "";
    int64_t n = 1;
    int fds[2];

    pair(fds);
    OK(om__net_send(fds[0], parts, 4) == 11 && read(fds[1], back, sizeof back) == 11 &&
           memcmp(back, "onetwothree", 11) == 0,
       "parts go out in one piece");
    OK(om__net_send(fds[0], parts + 1, 1) == 0, "nothing to send");
    parts[0].at = block;
    parts[0].len = sizeof block;
    for (int i = 0; n > 0 && i < 10000; i++)
        n = om__net_send(fds[0], parts, 1);
    OK(n == 0, "a full socket would block");
    close(fds[1]);
    OK(om__net_send(fds[0], parts, 1) == OM__NET_BROKEN, "a closed peer is broken, and no SIGPIPE");
    close(fds[0]);
}

static void test_receive(void)
{
    om__deadline deadline = within(60000, 20000);
    om_error err;
    char byte[8];
    int fds[2];

    pair(fds);
    OK(om__net_receive(fds[0], byte, 8) == 0, "nothing there");
    OK(!om__net_is_stale(fds[0]), "fresh");
    if (write(fds[1], "abc", 3) != 3)
        abort();
    OK(om__net_is_stale(fds[0]), "bytes that nobody asked for: stale");
    OK(om__net_receive(fds[0], byte, 2) == 2 && om__net_receive(fds[0], byte, 8) == 1, "bytes");
    OK(om__net_set_io_timeout(fds[0], 20000, &err) == OM_OK, "prepared");
    if (write(fds[1], "abc", 3) != 3)
        abort();
    OK(om__net_receive_wait(fds[0], byte, 8, &deadline, &err) == 3, "waiting receive");
    OK(om__net_set_io_timeout(fds[0], 30, &err) == OM_OK, "prepared");
    deadline = within(60000, 30);
    OK(om__net_receive_wait(fds[0], byte, 8, &deadline, &err) == OM_E_TIMEOUT &&
           strstr(err.message, "30 ms (io_timeout_ms)"),
       "io deadline in recv: %s", err.message);
    deadline = within(20, 60000);
    OK(om__net_receive_wait(fds[0], byte, 8, &deadline, &err) == OM_E_TIMEOUT &&
           strstr(err.message, "longer than its limit"),
       "total deadline in poll: %s", err.message);
    close(fds[1]);
    deadline = within(60000, 20000);
    OK(om__net_is_stale(fds[0]), "closed: stale");
    OK(om__net_receive(fds[0], byte, 8) == OM__NET_CLOSED, "closed");
    OK(om__net_receive_wait(fds[0], byte, 8, &deadline, &err) == 0, "closed while waiting");
    OK(om__net_set_io_timeout(-1, 30, &err) == OM_E_NETWORK, "no socket");
    close(fds[0]);
}

static void serve_last_words(peer *p, int fd, int nth)
{
    char byte;

    (void)p;
    (void)nth;
    if (recv(fd, &byte, 1, 0) == 1)
        peer_say(fd, "last words");
    peer_reset_on_close(fd);
}

static void test_reset(void)
{
    om__deadline deadline = within(60000, 20000);
    om__span part = {"xx", 2};
    om_error err;
    char text[16];
    peer p;
    int fd;

    peer_start(&p, serve_last_words, NULL);
    fd = om__net_connect("127.0.0.1", p.port, 5000, &err);
    (void)om__net_set_io_timeout(fd, 20000, &err);
    OK(om__net_send(fd, &part, 1) == 2, "two bytes, one of which nobody reads");
    OK(om__net_wait(fd, OM__READABLE, &deadline, &err) == OM__READABLE, "something came");
    peer_stop(&p); /* after it the reset is here, too */
    OK(om__net_send(fd, &part, 1) == OM__NET_BROKEN, "reset: sending is broken");
    OK(om__net_receive_wait(fd, text, sizeof text, &deadline, &err) == 10 &&
           memcmp(text, "last words", 10) == 0,
       "what came before the reset can be read");
    OK(om__net_receive_wait(fd, text, sizeof text, &deadline, &err) <= 0, "and nothing more");
    om__net_close(fd);
}

/* ---- signals ---- */

static void on_alarm(int number)
{
    (void)number;
}

static void storm(int on)
{
    struct sigaction action;
    struct itimerval every = {.it_interval = {.tv_usec = on ? 1000 : 0},
                              .it_value = {.tv_usec = on ? 1000 : 0}};

    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

static void test_signals(void)
{
    om__deadline deadline = within(60000, 50);
    time_t wall = time(NULL);
    int64_t start;
    om_error err;
    char byte;
    int fds[2];

    pair(fds);
    (void)om__net_set_io_timeout(fds[0], 50, &err);
    storm(1);
    start = om__now_ms();
    OK(om__net_wait(fds[0], OM__READABLE, &deadline, &err) == OM_E_TIMEOUT &&
           om__now_ms() - start >= 49,
       "1,000 signals a second neither shorten a wait nor keep it from ending");
    start = om__now_ms();
    OK(om__net_receive_wait(fds[0], &byte, 1, &deadline, &err) == OM_E_TIMEOUT &&
           om__now_ms() - start >= 49,
       "nor a waiting receive");
    storm(0);
    close(fds[0]);
    close(fds[1]);
    OK(om__wall_s() >= (int64_t)wall && om__wall_s() <= (int64_t)wall + 60, "wall clock");
}

int main(void)
{
    test_connect();
    test_names();
    test_black_hole();
    test_wait();
    test_send();
    test_receive();
    test_reset();
    test_signals();
    return tap_done();
}
