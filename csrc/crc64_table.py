"""Makes crc64_table.h: the constants of the CRC-64/XZ kernels, from the polynomial alone.

Nothing flows in, a header of constants flows out. Run it when a kernel needs another constant:

    python crc64_table.py > crc64_table.h

A row of slicing-by-16 is linear in its index, so eight constants stand for its 256 entries; the
compiler expands them. A folding constant moves 64 bits of message ahead by a number of bits: it is
a power of x modulo the polynomial, bit-reflected.

Source: ECMA-182 polynomial, reflected (the CRC of .xz files and of x-oss-hash-crc64ecma).
"""

from __future__ import annotations

POLYNOMIAL = 0xC96C5795D7870F42  # reflected: bit 63 is x**0
ONE = 1 << 63
ROWS = 16
FOLDS = (128, 1024)  # bits between a vector and the one it is folded into


def times_x(value: int) -> int:
    """value * x modulo the polynomial, all reflected."""
    return value >> 1 ^ (POLYNOMIAL if value & 1 else 0)


def power(exponent: int) -> int:
    """x**exponent modulo the polynomial."""
    value = ONE
    for _ in range(exponent):
        value = times_x(value)
    return value


def entry(row: int, byte: int) -> int:
    """What `byte`, followed by `row` zero bytes, leaves in the register."""
    value = byte
    for _ in range(8 * (row + 1)):
        value = times_x(value)
    return value


def main() -> None:
    print("/* crc64_table.h - made by crc64_table.py. Do not edit. */")
    print("#ifndef OM_CRC64_TABLE_H\n#define OM_CRC64_TABLE_H\n")
    print(
        "/* Multipliers that fold 128 bits ahead by N bits: their earlier and their later half. */"
    )
    for bits in FOLDS:
        print(f"#define OM__FOLD_{bits}_EARLY 0x{power(bits + 63):016X}u")
        print(f"#define OM__FOLD_{bits}_LATE 0x{power(bits - 1):016X}u")
    print("\n#define OM__CRC64_ROW_COUNT", ROWS)
    print("/* ROW(r, entries of 1, 2, 4 ... 128): byte, followed by r zero bytes. */")
    print("#define OM__CRC64_ROWS(ROW) \\")
    for row in range(ROWS):
        basis = [f"0x{entry(row, 1 << bit):016X}u" for bit in range(8)]
        print(f"    ROW({row}, {', '.join(basis[:4])}, \\")
        print(f"        {', '.join(basis[4:])}){' ' + chr(92) if row < ROWS - 1 else ''}")
    print("\n#endif")


if __name__ == "__main__":
    main()
