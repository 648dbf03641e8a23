// SPDX-License-Identifier: GPL-2.0
/*
 * A driver of the SPI bus, of which a module has one. In C, as the `kernel` crate has nothing of
 * that bus. Used by rust/spi.rs.
 */
#include <linux/module.h>
#include <linux/spi/spi.h>

/* By these names user space is told of devices, of those that have a node, too. */
static const struct spi_device_id ids[] = {
	{ "probe" },
	{ }
};
MODULE_DEVICE_TABLE(spi, ids);

/* Makes the data of a device, or returns an error. */
static int (*make_data)(struct device *dev, void **data);
static void (*drop_data)(void *data);

static int probe(struct spi_device *spi)
{
	void *data;
	int ret = make_data(&spi->dev, &data);

	if (!ret)
		spi_set_drvdata(spi, data);
	return ret;
}

/* The bus releases devres after it. */
static void remove(struct spi_device *spi)
{
	drop_data(spi_get_drvdata(spi));
}

static struct spi_driver driver = {
	.id_table = ids,
	.probe = probe,
	.remove = remove,
};

/* Registers the driver, and returns 0 or an error. */
int alloclab_spi_register(const char *name, const struct of_device_id *nodes,
			  int (*make)(struct device *dev, void **data), void (*drop)(void *data))
{
	make_data = make;
	drop_data = drop;
	driver.driver.name = name;
	driver.driver.of_match_table = nodes;
	return spi_register_driver(&driver);
}

void alloclab_spi_unregister(void)
{
	spi_unregister_driver(&driver);
}
