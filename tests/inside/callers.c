// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that sensor.py looks for: with user memory that is not present, by a 32-bit system call,
 * by io_uring.
 *
 * usage: callers WHAT [ARGUMENT]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <unistd.h>

static const struct sockaddr_in inet = {
	.sin_family = AF_INET, .sin_port = 0x0900, .sin_addr = { 0x0100007f },
};

/* A copy in a page that nothing has touched, so the kernel has to fetch it. */
static void *cold(const void *data, size_t size)
{
	int fd = memfd_create("cold", 0);
	void *p;

	if (write(fd, data, size) != (ssize_t)size)
		exit(1);
	p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	return p;
}

static char *cold_string(const char *text)
{
	return cold(text, strlen(text) + 1);
}

/* Executes that in a child. */
static void run(const char *path, char **argv)
{
	pid_t pid = fork();

	if (!pid) {
		execve(path, argv, NULL);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void argvs(char *program)
{
	char *none[] = { NULL }, *empty[] = { program, "", "after", "", NULL };
	char *six[] = { "0", "1", "2", "3", "4", "5", NULL };
	char *seven[] = { "0", "1", "2", "3", "4", "5", "6", NULL };
	char *bad[] = { program, (char *)8, "after", NULL };
	char lengthy[64 * 1024], *of_two[] = { lengthy, "after", NULL };

	memset(lengthy, 'x', sizeof(lengthy));
	lengthy[sizeof(lengthy) - 1] = 0;
	run(program, NULL);
	run(program, none);
	run(program, empty);
	run(program, six);
	run(program, seven);
	run(program, of_two);
	run(program, bad);
	run("", empty);
	run((char *)8, empty);
}

static void to(const char *bytes, int len)
{
	int sock = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct sockaddr_un a;

	memset(&a, 'Z', sizeof(a));
	a.sun_family = AF_UNIX;
	memcpy(a.sun_path, bytes, len);
	connect(sock, (void *)&a, 2 + len);
	close(sock);
}

static void unixes(void)
{
	char full[108], name[108] = "";

	memset(full, 'p', sizeof(full));
	full[0] = '/';
	full[107] = 'E';
	to("\0good\0evil", 10);
	to("\0\0\0\0", 4);
	to(name, 108);
	to(full, 108);
	to("/tmp/none", 9);
	to("/tmp/none\0junk", 14);
	to("\\0none", 6);
	to("", 0);
}

#ifdef __x86_64__
static long int80(long nr, const void *b, const void *c, long d)
{
	long result;

	asm volatile("int $0x80" : "=a"(result) : "a"(nr), "b"(b), "c"(c), "d"(d)
		     : "memory", "r8", "r9", "r10", "r11");
	return result;
}

static void by_int80(const char *program)
{
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	unsigned int *argv = (unsigned int *)(low + 1024);
	unsigned int *args = (unsigned int *)(low + 1280);
	long sock = socket(AF_INET, SOCK_DGRAM, 0);

	strcpy(low, "by-int80");
	int80(295, (void *)(long)AT_FDCWD, low, O_RDONLY);	/* openat */
	int80(10, low, 0, 0);					/* unlink */
	int80(38, low, low, 0);					/* rename */
	memcpy(low + 256, &inet, sizeof(inet));
	int80(362, (void *)sock, low + 256, sizeof(inet));	/* connect */
	args[0] = sock;
	args[1] = (long)(low + 256);
	args[2] = sizeof(inet);
	int80(102, (void *)3, args, 0);				/* socketcall: connect */
	strcpy(low + 512, program);
	argv[0] = (long)low;
	argv[1] = (long)low;
	int80(11, low + 512, argv, 0);				/* execve */
}
#endif

/* Has io_uring do one thing. */
static void by_ring(struct io_uring_sqe what)
{
	struct io_uring_params p = { 0 };
	int ring = syscall(SYS_io_uring_setup, 1, &p);
	char *sq = mmap(NULL, p.sq_off.array + sizeof(int), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
	struct io_uring_sqe *sqe = mmap(NULL, sizeof(*sqe), PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);

	if (ring < 0 || sq == MAP_FAILED || sqe == MAP_FAILED) {
		perror("io_uring");
		exit(1);
	}
	*sqe = what;
	*(unsigned int *)(sq + p.sq_off.array) = 0;
	__atomic_store_n((unsigned int *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
	syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	close(ring);
}

static void by_io_uring(void)
{
	int sock = socket(AF_INET, SOCK_DGRAM, 0);

	by_ring((struct io_uring_sqe){ .opcode = IORING_OP_CONNECT, .fd = sock,
				       .addr = (long)&inet, .off = sizeof(inet) });
	by_ring((struct io_uring_sqe){ .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD,
				       .addr = (long)"by-io_uring" });
	by_ring((struct io_uring_sqe){ .opcode = IORING_OP_UNLINKAT, .fd = AT_FDCWD,
				       .addr = (long)"by-io_uring" });
	by_ring((struct io_uring_sqe){ .opcode = IORING_OP_RENAMEAT, .fd = AT_FDCWD,
				       .addr = (long)"by-io_uring", .len = AT_FDCWD,
				       .off = (long)"by-io_uring" });
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	char *program = argc > 2 ? argv[2] : "/bin/true";
	int sock = socket(AF_INET, SOCK_DGRAM, 0);

	if (!strcmp(what, "exec")) {
		char *args[] = { cold_string(program), cold_string("cold argument"), "warm", NULL };

		execve(cold_string(program), cold(args, sizeof(args)), NULL);
	} else if (!strcmp(what, "exec-fails")) {
		execve(cold_string("/cold/name"), argv, NULL);
	} else if (!strcmp(what, "connect")) {
		connect(sock, cold(&inet, sizeof(inet)), sizeof(inet));
	} else if (!strcmp(what, "open")) {
		open(cold_string("/cold/name"), O_RDONLY);
	} else if (!strcmp(what, "remove")) {
		unlink(cold_string("/cold/name"));
		rmdir(cold_string("/cold/folder"));
		rename(cold_string("/cold/old"), cold_string("/cold/new"));
		/* The kernel has no such names. */
		unlink("");
		unlink((char *)8);
	} else if (!strcmp(what, "argvs")) {
		argvs(program);
	} else if (!strcmp(what, "unixes")) {
		unixes();
#ifdef __x86_64__
	} else if (!strcmp(what, "int80")) {
		by_int80(program);
#endif
	} else if (!strcmp(what, "io_uring")) {
		by_io_uring();
	} else if (!strcmp(what, "named")) {
		prctl(PR_SET_NAME, program);
		unlink("not-there");
	} else {
		return 2;
	}
	return 0;
}
