// SPDX-License-Identifier: GPL-2.0
/*
 * The properties of a device's node, and what is wrong with them.
 *
 * The device tree does not store types: a property is a name and bytes. The kernel's readers take
 * the first cell of anything long enough; here a value of another length is an error.
 */
#include <linux/ctype.h>
#include <linux/device.h>
#include <linux/gfp.h>
#include <linux/of.h>
#include <linux/string.h>
#include <linux/unaligned.h>

#include "peer.h"

#define LABEL_BYTES 64
/* As in gpio-keys. */
#define DEFAULT_DEBOUNCE_MS 5
/* How many bytes of a value a message shows. */
#define SHOWN_STRING 64
#define SHOWN_BYTES 16

bool node_has(struct device *dev, const char *name)
{
	return of_property_present(dev->of_node, name);
}

/* Returns the bytes of a property; NULL where the node does not have it. */
static const char *read(struct device *dev, const char *name, int *len)
{
	const struct property *property = of_find_property(dev->of_node, name, len);

	if (!property)
		return NULL;
	/* One without a value has no bytes. */
	return property->value ?: "";
}

/* Whether the value is exactly one terminated string. */
static bool is_string(const char *value, int len)
{
	return len && strnlen(value, len) == len - 1;
}

/* Shows a string in quotes, anything else as `[00 00 00 05]`; of a long value the beginning. */
void node_show(struct device *dev, const char *name, struct seq_buf *shown)
{
	char escaped[4 * SHOWN_STRING + 1];
	struct word text;
	int len, most;

	text.text = read(dev, name, &len);
	if (!text.text)
		return;
	if (is_string(text.text, len)) {
		most = SHOWN_STRING + 1;
		text.len = min(len - 1, SHOWN_STRING);
		seq_buf_printf(shown, "\"%s\"", escape(escaped, sizeof(escaped), text));
	} else {
		most = SHOWN_BYTES;
		seq_buf_printf(shown, "[%*ph]", min(len, SHOWN_BYTES), text.text);
	}
	if (len > most)
		seq_buf_printf(shown, "... (%d bytes)", len);
}

/* Logs that the value of a property is not valid, and what is allowed. */
static int refuse(struct device *dev, const char *name, const char *allowed, int err)
{
	DECLARE_SEQ_BUF(value, WHY_BYTES);

	node_show(dev, name, &value);
	dev_err(dev, "%s: %s is not valid: %s\n", name, seq_buf_str(&value), allowed);
	return err;
}

/* Returns 1 for a value that was read, 0 where there is none. */
static int read_u32(struct device *dev, const char *name, u32 *number)
{
	const char *value;
	int len;

	value = read(dev, name, &len);
	if (!value)
		return 0;
	if (len != sizeof(*number))
		return refuse(dev, name, "allowed is one 32-bit cell", -EINVAL);
	*number = get_unaligned_be32(value);
	return 1;
}

static int read_setting(struct lab *lab, const char *name, parse_fn *parse)
{
	DECLARE_SEQ_BUF(why, WHY_BYTES);
	struct word text;
	int len, err;

	text.text = read(lab->dev, name, &len);
	if (!text.text)
		return 0;
	/* What is no string is as little valid as an empty one. */
	text.len = is_string(text.text, len) ? len - 1 : 0;
	err = parse(text, &lab->settings, &why);
	if (!err)
		return 0;
	return refuse(lab->dev, name, seq_buf_str(&why), err);
}

static int read_label(struct lab *lab)
{
	DECLARE_SEQ_BUF(allowed, WHY_BYTES);
	const char *value;
	int len, i;

	value = read(lab->dev, "label", &len);
	if (!value)
		return 0;
	if (!is_string(value, len) || len < 2 || len > LABEL_BYTES + 1)
		goto refused;
	for (i = 0; i < len - 1; i++)
		if (!isascii(value[i]) || !isprint(value[i]))
			goto refused;
	lab->label = devm_kstrdup(lab->dev, value, GFP_KERNEL);
	return lab->label ? 0 : -ENOMEM;

refused:
	seq_buf_printf(&allowed, "allowed are 1 to %d printable ASCII characters", LABEL_BYTES);
	return refuse(lab->dev, "label", seq_buf_str(&allowed), -EINVAL);
}

/* Logs which of the settings, each valid by itself, no method takes. */
static void refuse_settings(struct lab *lab, enum objection objection, const char *why)
{
	const struct settings *settings = &lab->settings;
	DECLARE_SEQ_BUF(value, WHY_BYTES);
	const char *name;

	switch (objection) {
	case OBJECTION_WORD:
	case OBJECTION_TOGETHER:
		name = "alloclab,gfp";
		print_flags(&value, &settings->flags);
		break;
	case OBJECTION_SLEEPS:
		name = "alloclab,context";
		seq_buf_puts(&value, context_name(settings->context));
		break;
	default:
		name = "alloclab,size";
		if (settings->own_size)
			seq_buf_puts(&value, "default");
		else
			seq_buf_printf(&value, "%zu", settings->size);
		break;
	}
	dev_err(lab->dev, "%s: %s is not valid: %s\n", name, seq_buf_str(&value), why);
}

static int check_settings(struct lab *lab)
{
	DECLARE_SEQ_BUF(why, WHY_BYTES);
	struct refusal refusal;
	int err;

	err = settings_check(&lab->settings, &refusal, &why);
	if (err)
		refuse_settings(lab, refusal.objection, seq_buf_str(&why));
	else
		lab_say_passed_over(lab, &lab->settings, false);
	return err;
}

/* Reads and checks what the node says; what is wrong is logged. */
int node_read(struct lab *lab, u32 *debounce_ms)
{
	u32 size;
	int err;

	lab->settings = (struct settings) {
		.only = CYCLE,
		.own_size = true,
		.flags = { .base = BASE_KERNEL, .gfp = GFP_KERNEL },
		.context = CONTEXT_THREAD,
	};
	*debounce_ms = DEFAULT_DEBOUNCE_MS;
	err = read_u32(lab->dev, "debounce-interval", debounce_ms);
	if (err < 0)
		return err;
	err = read_u32(lab->dev, "alloclab,size", &size);
	if (err < 0)
		return err;
	if (err) {
		lab->settings.own_size = false;
		lab->settings.size = size;
	}
	err = read_setting(lab, "alloclab,method", parse_method);
	if (!err)
		err = read_setting(lab, "alloclab,gfp", parse_gfp);
	if (!err)
		err = read_setting(lab, "alloclab,context", parse_context);
	if (!err)
		err = read_label(lab);
	return err ?: check_settings(lab);
}
