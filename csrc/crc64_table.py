"""Makes crc64_table.h: the constants of the CRC-64/XZ kernels, from the polynomial alone.

Nothing flows in, a header of constants flows out. Run it when a kernel needs another constant:

    python crc64_table.py > crc64_table.h

The table is the classic one, a byte at a time; slicing-by-16 makes its rows from it at run time. A
folding constant moves 64 bits of message ahead by a number of bits: it is a power of x modulo the
polynomial, bit-reflected.

Source: ECMA-182 polynomial, reflected (the CRC of .xz files and of x-oss-hash-crc64ecma).
"""

from __future__ import annotations

POLYNOMIAL = 0xC96C5795D7870F42  # reflected: bit 63 is x**0
ONE = 1 << 63
FOLDS = (128, 512, 1024, 2048)  # bits between a vector and the one it is folded into


def times_x(value: int, times: int) -> int:
    """value * x**times modulo the polynomial, all reflected."""
    for _ in range(times):
        value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
    return value


def product(a: int, b: int) -> int:
    """a * b modulo the polynomial, all reflected."""
    found = 0
    for times in range(64):
        if a << times & ONE:
            found ^= times_x(b, times)
    return found


def main() -> None:
    print("/* crc64_table.h - made by crc64_table.py. Do not edit. */")
    print("#ifndef OM_CRC64_TABLE_H\n#define OM_CRC64_TABLE_H\n")
    print(
        "/* Multipliers that fold 128 bits ahead by N bits: their earlier and their later half. */"
    )
    for bits in FOLDS:
        print(f"#define OM__FOLD_{bits}_EARLY 0x{times_x(ONE, bits + 63):016X}u")
        print(f"#define OM__FOLD_{bits}_LATE 0x{times_x(ONE, bits - 1):016X}u")
    print("\n/* x**8, a byte ahead; then each the square of the one before. */")
    print("#define OM__CRC64_POWERS \\")
    powers = [ONE >> 8]
    while len(powers) < 64:
        powers.append(product(powers[-1], powers[-1]))
    for first in range(0, 64, 4):
        row = ", ".join(f"0x{power:016X}u" for power in powers[first : first + 4])
        print(f"    {row}{', ' + chr(92) if first < 60 else ''}")
    print("\n/* What each byte leaves in the register. */")
    print("#define OM__CRC64_OF_A_BYTE \\")
    for first in range(0, 256, 4):
        row = ", ".join(f"0x{times_x(byte, 8):016X}u" for byte in range(first, first + 4))
        print(f"    {row}{', ' + chr(92) if first < 252 else ''}")
    print("\n#endif")


if __name__ == "__main__":
    main()
