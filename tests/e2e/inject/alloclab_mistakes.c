// SPDX-License-Identifier: GPL-2.0
/*
 * What tutorials do in the probe of a USB, SPI and I2C driver: memory for DMA is asked for in the
 * name of the device that is driven, which does none. doc/probes.md shows what the kernel answers.
 */
#include <linux/dma-mapping.h>
#include <linux/i2c.h>
#include <linux/module.h>
#include <linux/spi/spi.h>
#include <linux/usb.h>

static int ask(struct device *dev)
{
	dma_addr_t dma;
	void *buffer = dma_alloc_coherent(dev, 1024, &dma, GFP_KERNEL);

	dev_info(dev, "dma_alloc_coherent: %s\n", buffer ? "memory" : "NULL");
	if (buffer)
		dma_free_coherent(dev, 1024, buffer, dma);
	return -ENODEV;
}

static int usb_probe(struct usb_interface *interface, const struct usb_device_id *id)
{
	return ask(&interface->dev);
}

static void usb_disconnect(struct usb_interface *interface)
{
}

/* QEMU's tablet. */
static const struct usb_device_id usb_ids[] = {
	{ USB_DEVICE(0x0627, 0x0001) },
	{ }
};

static struct usb_driver usb = {
	.name = "alloclab_mistakes",
	.id_table = usb_ids,
	.probe = usb_probe,
	.disconnect = usb_disconnect,
};

static int spi_probe(struct spi_device *spi)
{
	return ask(&spi->dev);
}

static const struct spi_device_id spi_ids[] = {
	{ "probe" },
	{ }
};

static struct spi_driver spi = {
	.driver.name = "alloclab_mistakes",
	.id_table = spi_ids,
	.probe = spi_probe,
};

static int i2c_probe(struct i2c_client *client)
{
	return ask(&client->dev);
}

static const struct i2c_device_id i2c_ids[] = {
	{ "probe" },
	{ }
};

static struct i2c_driver i2c = {
	.driver.name = "alloclab_mistakes",
	.id_table = i2c_ids,
	.probe = i2c_probe,
};

static int __init mistakes_init(void)
{
	int ret = usb_register(&usb);

	if (ret)
		return ret;
	ret = spi_register_driver(&spi);
	if (ret)
		goto no_spi;
	ret = i2c_add_driver(&i2c);
	if (!ret)
		return 0;
	spi_unregister_driver(&spi);
no_spi:
	usb_deregister(&usb);
	return ret;
}
module_init(mistakes_init);

static void __exit mistakes_exit(void)
{
	i2c_del_driver(&i2c);
	spi_unregister_driver(&spi);
	usb_deregister(&usb);
}
module_exit(mistakes_exit);

MODULE_DESCRIPTION("Asks for memory for DMA in the name of devices that do none");
MODULE_LICENSE("GPL");
