# SPDX-License-Identifier: Apache-2.0
# A guest of 512 bytes: counts its own life on its disk.
# Sector 1 of the disk (bytes 512..1023): dword 0 = boots, dword 1 = ticks since it was made (about 1 a second).
# Each boot adds one to boots; then about once a second it adds one to ticks and writes the sector back through the BIOS.
# It says "B" on the serial port at each boot and "." at each tick.
    .code16
    .globl _start
_start:
    ljmp $0, $1f
1:  xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7000, %sp
    movb %dl, drive
    sti
    movb $0x02, %ah             # read
    call disk
    incl 0x8000
    movb $0x03, %ah             # write
    call disk
    movb $'B', %al
    call say
loop:
    xorb %ah, %ah
    int $0x1a                   # ticks since midnight in cx:dx, 18.2 a second
    movw %dx, %bx
wait:
    hlt
    xorb %ah, %ah
    int $0x1a
    subw %bx, %dx
    cmpw $18, %dx
    jb wait
    incl 0x8004
    movb $0x03, %ah
    call disk
    movb $'.', %al
    call say
    jmp loop
disk:                           # ah = 2 read, 3 write; sector 2 (CHS 0/0/2) at 0x8000
    pusha
    movb $0x01, %al
    movw $0x0002, %cx
    xorb %dh, %dh
    movb drive, %dl
    movw $0x8000, %bx
    int $0x13
    popa
    jnc 2f
    movb $'E', %al
    call say
2:  ret
say:
    movw $0x3f8, %dx
    outb %al, %dx
    ret
drive: .byte 0
    .org 446                    # one partition over all, or Glance refuses the image: "MBR has no partitions"
    .byte 0x80, 0, 2, 0, 0x83, 0, 32, 0
    .long 1, 2047
    .org 510
    .word 0xaa55
