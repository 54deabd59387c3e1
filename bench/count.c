/* count.c - a plugin of qemu-user: counts the instructions a program executes, in all its threads. At each getppid, which the
 * benchmarks call as a mark, it writes down how many there were so far and which system calls. Built for the machine qemu runs
 * on; the interface is declared here because no package carries the header alone.
 *
 *   qemu-aarch64 -plugin libossmedia_count.so,out=FILE PROGRAM
 *
 * Source: QEMU's TCG plugin API, version 1. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
typedef struct qemu_info_t {
    const char *target_name;
    struct {
        int min, cur;
    } version;
    int system_emulation;
} qemu_info_t;
typedef void (*tb_translated)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*system_called)(qemu_plugin_id_t id, unsigned vcpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3,
                              uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, tb_translated callback);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t id, system_called callback);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int operation, void *where, uint64_t add);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);

int qemu_plugin_version = 1;

static uint64_t instructions, calls;
static int64_t mark;
static FILE *out;

static void on_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &instructions, qemu_plugin_tb_n_insns(tb));
}

static void on_call(qemu_plugin_id_t id, unsigned vcpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                    uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)id, (void)vcpu, (void)a1, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number == mark) {
        fprintf(out, "%" PRIu64 " %" PRIu64 "\n", instructions, calls);
        fflush(out);
    } else {
        calls++;
    }
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], "out=", 4) == 0)
            out = fopen(argv[i] + 4, "w");
    if (!out) {
        fprintf(stderr, "libossmedia_count: out=FILE must be given\n");
        return 1;
    }
    /* getppid */
    mark = strcmp(info->target_name, "x86_64") == 0 ? 110 : strcmp(info->target_name, "arm") == 0 ? 64 : 173;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
    qemu_plugin_register_vcpu_syscall_cb(id, on_call);
    return 0;
}
