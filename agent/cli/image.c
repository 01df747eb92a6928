/* image import, list, rm. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/cli/cli.h"
#include "api.pb-c.h"

static ssize_t give(void *arg, char *buf, size_t cap)
{
	ssize_t n;

	do
		n = read(*(const int *)arg, buf, cap);
	while (n < 0 && errno == EINTR);
	return n;
}

static int send_tar(struct cli *c, const char *name, const char *file, Davit__ImageImportAnswer **out, struct err *e)
{
	auto_free char *path = cli_path(e, "/v1/images/%s", name);
	auto_close int fd = strcmp(file, "-") == 0 ? fd_dup(STDIN_FILENO, e) : open(file, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (!path)
		return -1;
	if (fd < 0)
		return err_sys(e, errno, "%s", file);
	if (fstat(fd, &st) < 0 || S_ISDIR(st.st_mode))
		return err_field(e, "FILE", "%s is no tar file", file);
	if (!cli_client(c, e))
		return -1;
	return client_upload(c->client, "PUT", path, give, &fd, S_ISREG(st.st_mode) ? st.st_size : -1, &davit__image_import_answer__descriptor, out,
			     e);
}

static int import(struct cli *c, int argc, char **argv, struct err *e)
{
	auto_pb(Davit__ImageImportAnswer) *a = NULL;
	struct words words;
	int r = cli_parse(c, NULL, argc, argv, 2, 2, false, &words, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	if (send_tar(c, words.v[0], words.v[1], &a, e) < 0)
		return -1;
	if (c->json)
		return cli_print_json(&a->base, e);
	printf("%s %s\n", a->image->name, a->image->digest);
	return 0;
}

static int list(struct cli *c, int argc, char **argv, struct err *e)
{
	auto_pb(Davit__ImageInfoList) *images = NULL;
	struct words words;
	int r = cli_parse(c, NULL, argc, argv, 0, 0, false, &words, e);

	if (r == 0)
		r = cli_request(c, "GET", "/v1/images", NULL, &davit__image_info_list__descriptor, &images, e);
	if (r != 0)
		return r < 0 ? -1 : 0;
	printf("%-24s %-10s %-8s %s\n", "NAME", "SIZE", "FILES", "DIGEST");
	for (size_t i = 0; i < images->n_images; i++) {
		const Davit__ImageInfo *im = images->images[i];
		char bytes[32];

		printf("%-24s %-10s %-8llu %s\n", im->name, str_human_bytes(im->bytes, bytes, sizeof(bytes)), (unsigned long long)im->files,
		       im->digest);
	}
	return 0;
}

static int rm(struct cli *c, int argc, char **argv, struct err *e)
{
	bool force = false;
	const struct option options[] = { { "force", 'f', NULL, OPTION_FLAG, &force, "also if only snapshots need it" }, { 0 } };
	struct words names;
	int r = cli_parse(c, options, argc, argv, 1, -1, false, &names, e);

	for (int i = 0; r == 0 && i < names.n; i++) {
		auto_free char *path = cli_path(e, force ? "/v1/images/%s?force=true" : "/v1/images/%s", names.v[i]);

		if (!path || cli_request(c, "DELETE", path, NULL, NULL, NULL, e) < 0)
			return -1;
	}
	return r < 0 ? -1 : 0;
}

int command_image(struct cli *c, int argc, char **argv, struct err *e)
{
	static const struct command table[] = {
		{ "import", "NAME FILE|-", "make an image of a tar", import },
		{ "list", "", "images of the host", list },
		{ "rm", "NAME…", "remove images that are not used", rm },
	};

	return cli_group(c, table, ARRAY_LEN(table), argc, argv, e);
}
