// SPDX-License-Identifier: GPL-2.0
/*
 * The driver in C, for measuring what the one in Rust costs: the same binding, files, messages and
 * counters, written as C drivers are. It has the same name, so that one of the two is loaded at a
 * time.
 *
 * What it does at load, bind, unbind and unload.
 */
#define pr_fmt(fmt) "alloclab: " fmt

#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/interrupt.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>

#include "peer.h"

static bool button;
module_param(button, bool, 0444);
MODULE_PARM_DESC(button, "make a button without a line, pressed by its debugfs file (default: 0)");

static struct platform_device *own_device;

static const char *kind_of(int irq)
{
	return line_is_nested(irq) ? " (nested)" : "";
}

static int request_line(struct lab *lab, unsigned long trigger)
{
	irq_handler_t thread = line_is_nested(lab->irq) ? button_nested_thread : button_thread;
	int err;

	/*
	 * Forced threading makes the request ONESHOT, which masks the line until the thread has
	 * run: edges that come meanwhile are one to the handler.
	 */
	err = request_threaded_irq(lab->irq, button_hard, thread, IRQF_NO_THREAD | trigger,
				   DRIVER_NAME, lab);
	if (err && err != -EPROBE_DEFER)
		dev_err(lab->dev, "interrupts: irq %d%s cannot be had: %s\n", lab->irq,
			kind_of(lab->irq), error_name(err));
	return err;
}

static void say_ready(struct lab *lab, u32 debounce_ms)
{
	int only = lab->settings.only;
	char line[32] = "no line";

	if (lab->irq)
		scnprintf(line, sizeof(line), "irq %d%s", lab->irq, kind_of(lab->irq));
	/* The node's name, which is the label otherwise, begins the line already. */
	dev_info(lab->dev, "ready: %s, debounce %u ms, method %s%s%s\n", line, debounce_ms,
		 only == CYCLE ? "cycle" : methods[only]->name, lab->label ? ", label " : "",
		 lab->label ?: "");
}

/*
 * Not left to devres, which would free a block that a press got of it before the interrupt: what
 * is allocated last goes first.
 */
static void close_lab(struct lab *lab, bool has_line)
{
	/* Before the interrupt is freed, which waits for its thread half. */
	WRITE_ONCE(lab->closing, true);
	if (has_line)
		free_irq(lab->irq, lab);
	files_remove(lab);
	lab_stop(lab);
}

static int peer_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	unsigned long trigger;
	u32 debounce_ms;
	struct lab *lab;
	int err;

	err = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(32));
	if (err) {
		dev_err(dev, "no DMA with 32-bit addresses: %s\n", error_name(err));
		return err;
	}
	lab = devm_kzalloc(dev, sizeof(*lab), GFP_KERNEL);
	if (!lab)
		return -ENOMEM;
	lab->dev = dev;
	platform_set_drvdata(pdev, lab);

	/* First, as it may have to wait for the controller, in silence. */
	lab->irq = line_find(pdev, &trigger);
	if (lab->irq < 0)
		return lab->irq;
	err = node_read(lab, &debounce_ms);
	if (err)
		return err;
	lab->window_ns = (s64)debounce_ms * NSEC_PER_MSEC;
	err = lab_start(lab);
	if (err)
		return err;
	files_create(lab);

	if (lab->irq) {
		err = request_line(lab, trigger);
		if (err) {
			close_lab(lab, false);
			return err;
		}
	}
	say_ready(lab, debounce_ms);
	return 0;
}

static void peer_remove(struct platform_device *pdev)
{
	struct lab *lab = platform_get_drvdata(pdev);

	close_lab(lab, lab->irq);
}

static const struct of_device_id of_table[] = {
	{ .compatible = "alloclab,button" },
	{ .compatible = "yang,mydevice" },
	{ }
};
MODULE_DEVICE_TABLE(of, of_table);

static struct platform_driver peer_driver = {
	.probe = peer_probe,
	.remove = peer_remove,
	.driver = {
		.name = DRIVER_NAME,
		.of_match_table = of_table,
	},
};

/* Makes the device that has no node and no interrupt. */
static int register_own_device(bool has_files)
{
	if (!has_files)
		pr_warn("without debugfs, nothing can press a button that has no line\n");
	own_device = platform_device_register_simple(DRIVER_NAME, 0, NULL, 0);
	if (IS_ERR(own_device))
		pr_err("the button without a line cannot be made: %s\n",
		       error_name(PTR_ERR(own_device)));
	return PTR_ERR_OR_ZERO(own_device);
}

static int __init peer_init(void)
{
	int no_files = directory_create();
	int err;

	if (no_files == -ENODEV || no_files == -EPERM)
		pr_info("no debugfs (%s): the button works without its files\n",
			error_name(no_files));
	else if (no_files)
		pr_err("debugfs: the directory cannot be made: %s\n", error_name(no_files));

	err = platform_driver_register(&peer_driver);
	if (err) {
		pr_err("the driver cannot be registered: %s\n", error_name(err));
		goto remove_directory;
	}
	err = button ? register_own_device(!no_files) : 0;
	if (err)
		goto unregister_driver;

	files_allow_open();
	return 0;

unregister_driver:
	platform_driver_unregister(&peer_driver);
remove_directory:
	directory_remove();
	return err;
}
module_init(peer_init);

static void __exit peer_exit(void)
{
	if (button)
		platform_device_unregister(own_device);
	platform_driver_unregister(&peer_driver);
	directory_remove();
}
module_exit(peer_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The alloclab authors");
MODULE_DESCRIPTION("GPIO button as a laboratory for the kernel's memory allocators, in C");
