// SPDX-License-Identifier: GPL-2.0
/*
 * An interrupt controller whose lines are nested in a thread, as those of an I2C GPIO expander are:
 * a node that is compatible with "alloclab,nested", with one or two cells. Its lines can do edges.
 * Only tests load it.
 *
 * The file alloclab_nested in debugfs: write the number of a line, and the writer is the thread in
 * which one edge of that line is handled.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/module.h>
#include <linux/mod_devicetable.h>
#include <linux/platform_device.h>

#define LINES 4

static struct dentry *file;

static void nothing(struct irq_data *data)
{
}

static int set_type(struct irq_data *data, unsigned int type)
{
	return type & ~IRQ_TYPE_EDGE_BOTH ? -EINVAL : 0;
}

static struct irq_chip chip = {
	.name = KBUILD_MODNAME,
	.irq_mask = nothing,
	.irq_unmask = nothing,
	.irq_set_type = set_type,
};

static int map(struct irq_domain *domain, unsigned int irq, irq_hw_number_t line)
{
	irq_set_chip_and_handler(irq, &chip, handle_simple_irq);
	irq_set_nested_thread(irq, true);
	return 0;
}

static const struct irq_domain_ops operations = {
	.map = map,
	.xlate = irq_domain_xlate_onetwocell,
};

static ssize_t write_line(struct file *file, const char __user *text, size_t len, loff_t *pos)
{
	struct irq_domain *domain = file->private_data;
	unsigned int line, irq;
	int ret = kstrtouint_from_user(text, len, 0, &line);

	if (ret)
		return ret;
	irq = irq_find_mapping(domain, line);
	if (!irq)
		return -ENXIO;
	handle_nested_irq(irq);
	return len;
}

static const struct file_operations file_operations = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = write_line,
	.llseek = noop_llseek,
};

static int probe(struct platform_device *dev)
{
	struct irq_domain *domain = irq_domain_create_linear(dev_fwnode(&dev->dev), LINES,
							     &operations, NULL);

	if (!domain)
		return -ENOMEM;
	platform_set_drvdata(dev, domain);
	file = debugfs_create_file(KBUILD_MODNAME, 0200, NULL, domain, &file_operations);
	return 0;
}

static void remove(struct platform_device *dev)
{
	struct irq_domain *domain = platform_get_drvdata(dev);
	irq_hw_number_t line;

	debugfs_remove(file);
	for (line = 0; line < LINES; line++)
		irq_dispose_mapping(irq_find_mapping(domain, line));
	irq_domain_remove(domain);
}

static const struct of_device_id table[] = {
	{ .compatible = "alloclab,nested" },
	{ }
};
MODULE_DEVICE_TABLE(of, table);

static struct platform_driver nested_driver = {
	.probe = probe,
	.remove = remove,
	.driver = {
		.name = KBUILD_MODNAME,
		.of_match_table = table,
	},
};
module_platform_driver(nested_driver);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The alloclab authors");
MODULE_DESCRIPTION("Controller of nested interrupts for alloclab's tests");
