// SPDX-License-Identifier: GPL-2.0
/*
 * usb_reset DEVICE: resets a USB device, a file such as /dev/bus/usb/001/002.
 */
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int file;

	if (argc != 2)
		return 2;
	file = open(argv[1], O_RDWR | O_CLOEXEC);
	if (file < 0 || ioctl(file, USBDEVFS_RESET)) {
		perror(argv[1]);
		return 1;
	}
	return close(file);
}
