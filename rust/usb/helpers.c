// SPDX-License-Identifier: GPL-2.0
/*
 * The helpers, as Kbuild lets an object belong to one module only, and what rust/usb.rs calls: the
 * controller of a USB device, the memory that it has for the device.
 */
#include "../helpers.c"
#include "../line.c"

#include <linux/genalloc.h>
#include <linux/usb.h>
#include <linux/usb/hcd.h>

bool alloclab_is_usb_interface(const struct device *dev)
{
	return dev->type && dev->type->name && !strcmp(dev->type->name, "usb_interface");
}

/* dev is a USB interface, here and below. */
static struct usb_device *device_of(struct device *dev)
{
	return interface_to_usbdev(to_usb_interface(dev));
}

static struct usb_hcd *hcd_of(struct device *dev)
{
	return bus_to_hcd(device_of(dev)->bus);
}

/* The device that does DMA for the controller, where that does any. */
struct device *alloclab_usb_controller(struct device *dev)
{
	return hcd_of(dev)->self.sysdev;
}

/* Whether memory is allocated for that device. */
bool alloclab_usb_does_dma(struct device *dev)
{
	struct usb_hcd *hcd = hcd_of(dev);

	return hcd_uses_dma(hcd) && !hcd->localmem_pool;
}

void *alloclab_usb_alloc(struct device *dev, size_t bytes, gfp_t flags, dma_addr_t *dma)
{
	void *start = usb_alloc_coherent(device_of(dev), bytes, flags, dma);

	/* A controller's own memory comes as it is. */
	if (start && hcd_of(dev)->localmem_pool && (flags & __GFP_ZERO))
		memset(start, 0, bytes);
	return start;
}

void alloclab_usb_free(struct device *dev, size_t bytes, void *start, dma_addr_t dma)
{
	usb_free_coherent(device_of(dev), bytes, start, dma);
}

/* The size of the blocks that so many bytes come from, as in drivers/usb/core/buffer.c; or 0. */
static size_t block_size(size_t bytes)
{
	static const size_t sizes[] = {
		ARCH_DMA_MINALIGN <= 32 ? 32 : ARCH_DMA_MINALIGN <= 64 ? 64 : 0, 128, 512, 2048,
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		if (bytes <= sizes[i])
			return sizes[i];
	return 0;
}

/*
 * Where so many bytes come from, 0: a pool of coherent memory, 1: coherent memory, 2: memory of the
 * controller's own, 3: kmalloc; how many there are.
 */
int alloclab_usb_source(struct device *dev, const void *start, size_t bytes, size_t *usable)
{
	struct usb_hcd *hcd = hcd_of(dev);

	if (hcd->localmem_pool) {
		*usable = round_up(bytes, 1UL << hcd->localmem_pool->min_alloc_order);
		return 2;
	}
	if (!hcd_uses_dma(hcd)) {
		*usable = ksize(start);
		return 3;
	}
	*usable = block_size(bytes);
	if (*usable)
		return 0;
	*usable = PAGE_ALIGN(bytes);
	return 1;
}
