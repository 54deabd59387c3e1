/* test_blocks.c - the block pool: order, "full" as an answer, and that dropping never touches a
 * block on its way. */
#include "blocks.h"
#include "ossmedia.h"
#include "tap.h"

static void test_take_and_give(void)
{
    om__blocks blocks;
    om__block *a, *b, *c;

    OK(om__blocks_init(&blocks, 3, 1000) == OM_OK, "three blocks of 1000 bytes");
    OK(blocks.count == 3 && blocks.size == 1000 && blocks.given == 0 && blocks.bytes == 0,
       "nothing is given yet");
    OK(om__blocks_taken(&blocks) == NULL, "nothing is taken yet");
    OK(om__blocks_next(&blocks) == NULL && om__blocks_busy(&blocks) == 0,
       "nothing is ready or busy");
    a = om__blocks_take(&blocks);
    OK(a && om__blocks_take(&blocks) == a && om__blocks_taken(&blocks) == a,
       "the same block until it is given back");
    OK(om__blocks_busy(&blocks) == 0, "a taken block is not busy");
    memset(a->data, 'a', 1000);
    om__blocks_give(&blocks, a, 1000, 0);
    b = om__blocks_take(&blocks);
    OK(b && b != a, "another block after the first was given");
    memset(b->data, 'b', 1000);
    OK(a->data[0] == 'a' && a->data[999] == 'a', "blocks do not overlap");
    om__blocks_give(&blocks, b, 10, 0);
    c = om__blocks_take(&blocks);
    memset(c->data, 'c', 1000);
    om__blocks_give(&blocks, c, 0, 1);
    OK(a->number == 0 && b->number == 1 && c->number == 2, "numbers in the order given");
    OK(b->len == 10 && c->len == 0 && c->last == 1 && b->last == 0, "length and last are kept");
    OK(blocks.given == 3 && blocks.bytes == 1010 && om__blocks_busy(&blocks) == 3,
       "given 3 blocks, 1010 bytes");
    OK(om__blocks_take(&blocks) == NULL, "full is an answer");
    om__blocks_free(&blocks);
    OK(blocks.arena == NULL && blocks.count == 0, "freed");
}

static void test_next(void)
{
    om__blocks blocks;
    om__block *block[3];

    if (om__blocks_init(&blocks, 3, 16) != OM_OK)
        abort();
    for (int i = 0; i < 3; i++) {
        block[i] = om__blocks_take(&blocks);
        om__blocks_give(&blocks, block[i], 16, 0);
    }
    OK(om__blocks_next(&blocks) == block[0], "the oldest block is next");
    block[0]->state = OM__BLOCK_SENDING;
    OK(om__blocks_next(&blocks) == block[1], "a block on its way is not next");
    om__blocks_release(block[1]);
    OK(om__blocks_busy(&blocks) == 2, "a released block is free");
    OK(om__blocks_take(&blocks) == block[1], "and is taken again");
    om__blocks_give(&blocks, block[1], 16, 0);
    OK(block[1]->number == 3 && om__blocks_next(&blocks) == block[2],
       "order is by number, not by place");
    block[0]->state = OM__BLOCK_READY;
    OK(om__blocks_next(&blocks) == block[0], "a block that failed is next again");
    om__blocks_free(&blocks);
}

static void test_release_forgets(void)
{
    om__blocks blocks;
    om__block *block;

    if (om__blocks_init(&blocks, 2, 16) != OM_OK)
        abort();
    block = om__blocks_take(&blocks);
    om__blocks_give(&blocks, block, 16, 0);
    block->offset = 7;
    om__blocks_release(block);
    OK(block->len == 0 && block->offset == 0, "a released block has no length and no offset");
    block = om__blocks_take(&blocks);
    block->offset = 5;
    om__blocks_give(&blocks, block, 16, 0);
    OK(block->offset == 0, "a given block begins at its beginning");
    om__blocks_free(&blocks);
}

static void test_drop(void)
{
    om__blocks blocks;
    om__block *sending, *ready, *taken;

    if (om__blocks_init(&blocks, 4, 16) != OM_OK)
        abort();
    sending = om__blocks_take(&blocks);
    om__blocks_give(&blocks, sending, 16, 0);
    sending->state = OM__BLOCK_SENDING;
    ready = om__blocks_take(&blocks);
    om__blocks_give(&blocks, ready, 16, 0);
    taken = om__blocks_take(&blocks);
    om__blocks_drop(&blocks);
    OK(ready->state == OM__BLOCK_FREE && taken->state == OM__BLOCK_FREE,
       "ready and taken blocks are dropped");
    OK(sending->state == OM__BLOCK_SENDING && sending->len == 16,
       "the block on its way stays as it is");
    OK(om__blocks_busy(&blocks) == 1, "one block is busy");
    om__blocks_free(&blocks);
}

static void test_size(void)
{
    om__blocks blocks;

    OK(om__blocks_init(&blocks, 1024, SIZE_MAX / 1000) == OM_E_NOMEM,
       "a size that overflows is out of memory");
    OK(blocks.arena == NULL && blocks.block == NULL, "and leaves nothing behind");
    OK(om__blocks_init(&blocks, 1024, 102400) == OM_OK, "1024 blocks of 100 KiB");
    OK(blocks.block[1023].data == blocks.arena + (size_t)1023 * 102400,
       "the last one lies where it must");
    blocks.block[1023].data[102399] = 1;
    om__blocks_free(&blocks);
}

int main(void)
{
    test_take_and_give();
    test_next();
    test_release_forgets();
    test_drop();
    test_size();
    return tap_done();
}
