// SPDX-License-Identifier: GPL-2.0-only
/*
 * Text: UUIDs as people write them, and what may be the name of a snapshot.
 */
#include "internal.h"

/* ---- UUID as text ------------------------------------------------------- */

/* Is there a dash before byte @i of the text form? */
static bool uuid_dash(u32 i)
{
	return i == 4 || i == 6 || i == 8 || i == 10;
}

/**
 * snapprot_uuid_format() - text form of a UUID
 * @uuid: 16 bytes
 * @text: 37 bytes, lower case and a NUL
 */
void snapprot_uuid_format(const u8 *uuid, char *text)
{
	static const char digit[] = "0123456789abcdef";
	u32 i;

	for (i = 0; i < 16; i++) {
		if (uuid_dash(i))
			*text++ = '-';
		*text++ = digit[uuid[i] >> 4];
		*text++ = digit[uuid[i] & 15];
	}
	*text = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/**
 * snapprot_uuid_parse() - read the text form of a UUID
 * @text: 36 characters and a NUL, in upper or lower case
 * @uuid: 16 bytes; changed only on success
 *
 * Return: 0, or -EINVAL.
 */
int snapprot_uuid_parse(const char *text, u8 *uuid)
{
	u8 bytes[16];
	u32 i;

	for (i = 0; i < 16; i++) {
		int high, low;

		if (uuid_dash(i) && *text++ != '-')
			return -EINVAL;
		high = hex_digit(*text++);
		if (high < 0)
			return -EINVAL;
		low = hex_digit(*text++);
		if (low < 0)
			return -EINVAL;
		bytes[i] = high << 4 | low;
	}
	if (*text)
		return -EINVAL;
	memcpy(uuid, bytes, sizeof(bytes));
	return 0;
}

/* ---- names -------------------------------------------------------------- */

/*
 * Bytes of the character that begins at @p, and the character; 0 if it is not
 * UTF-8. A NUL is no byte of any but its own, so that nothing behind the end is
 * read.
 */
static u32 utf8_decode(const u8 *p, u32 *c)
{
	/* The lowest character of each length: others would be overlong. */
	static const u32 least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	u32 len, i;

	if (p[0] < 0x80) {
		*c = p[0];
		return 1;
	}
	if (p[0] >= 0xc0 && p[0] < 0xe0)
		len = 2;
	else if (p[0] >= 0xe0 && p[0] < 0xf0)
		len = 3;
	else if (p[0] >= 0xf0 && p[0] < 0xf8)
		len = 4;
	else
		return 0;
	*c = p[0] & (0x7f >> len);
	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (p[i] & 0x3f);
	}
	/* Surrogates are halves of characters of another encoding. */
	if (*c < least[len] || *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000))
		return 0;
	return len;
}

struct chars {
	u32 first;
	u32 last;
};

/* What a line of output, or a path, would be misread with. */
static const struct chars not_in_names[] = {
	{ 0x00, 0x20 },		/* controls, space */
	{ '/', '/' },
	{ 0x7f, 0xa0 },		/* controls, no-break space */
	{ 0x1680, 0x1680 },	/* a space */
	{ 0x2000, 0x200b },	/* spaces */
	{ 0x2028, 0x202f },	/* separators, direction of text, a space */
	{ 0x205f, 0x206f },	/* a space, invisible controls */
	{ 0x3000, 0x3000 },	/* a space */
	{ 0xfeff, 0xfeff },	/* a space of no width */
};

static bool char_ok(u32 c)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(not_in_names); i++) {
		if (c >= not_in_names[i].first && c <= not_in_names[i].last)
			return false;
	}
	return true;
}

/**
 * snapprot_name_ok() - may this be the name of a snapshot?
 * @name: no byte is read behind a NUL, nor behind SNAPPROT_NAME_SIZE bytes
 *
 * Return: is it 0 to 63 bytes of printable UTF-8 without slashes and blanks,
 * and a NUL?
 */
bool snapprot_name_ok(const char *name)
{
	const u8 *p = (const u8 *)name;
	u32 len = 0;
	u32 i = 0;
	u32 c, n;

	while (len < SNAPPROT_NAME_SIZE && p[len])
		len++;
	if (len == SNAPPROT_NAME_SIZE)
		return false;
	for (; i < len; i += n) {
		n = utf8_decode(p + i, &c);
		if (!n || !char_ok(c))
			return false;
	}
	return true;
}
