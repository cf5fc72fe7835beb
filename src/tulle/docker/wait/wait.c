/* The first process of a container made through the proxy: it waits until the daemon has attached the
 * container, and becomes the container's own command.
 *
 * It is linked with nothing, so it runs in an image that holds nothing else. The daemon's end of the
 * conversation is tulle/docker/gate:
 *
 *   connect, read            'g': go.  'q' and a text: print the text and quit.  End of file: ask again.
 *   exec succeeded           the socket closes, because it is close-on-exec
 *   exec failed              write two bytes, errno and what failed, then read what to print (as after 'q')
 */

#include "system.h"

#define GATE "/.tulle/gate"
#define AGAIN_NS 50000000L

enum { ENOENT = 2, EACCES = 13, EAGAIN = 11, ECONNREFUSED = 111 };
enum { CANNOT_ATTACH = 125, CANNOT_RUN = 126, NOT_FOUND = 127 };
enum failure { NOT_IN_PATH = 'p', CANNOT_SEE = 's', NOT_EXECUTABLE = 'x', CANNOT_START = 'e' };

static void *const no_handler = 0;

static size_t length(const char *text)
{
	size_t n = 0;
	while (text[n])
		n++;
	return n;
}

static void say(const char *text, size_t size)
{
	while (size) {
		long written = sys_write(2, text, size);
		if (written <= 0)
			return;
		text += written;
		size -= (size_t)written;
	}
}

static void interrupted(int number)
{
	sys_exit(128 + number);
}

/* Signals that end an ordinary process do nothing to the first one of a container, unless it has a handler.
 * Exec takes the handlers away again, and keeps what is ignored ignored. */
static void end_on_signals(void)
{
	static const int numbers[] = {1, 2, 3, 15};
	struct action old, new = {interrupted, ACTION_FLAGS, (void *)interrupted, 0};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (sys_sigaction(numbers[i], 0, &old) == 0 && old.handler == no_handler)
			sys_sigaction(numbers[i], &new, 0);
}

/* A connection to the daemon, or -1 when that cannot be had in this container, so that waiting is vain. */
static int knock(void)
{
	static const struct { unsigned short family; char path[sizeof GATE]; } gate = {AF_UNIX, GATE};

	for (;;) {
		long fd = sys_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			return -1;
		long error = -sys_connect((int)fd, &gate, sizeof gate);
		if (error == 0)
			return (int)fd;
		sys_close((int)fd);
		if (error != ENOENT && error != ECONNREFUSED && error != EAGAIN)
			return -1;
		sys_sleep(AGAIN_NS);
	}
}

/* Whether the command may run; otherwise quits. The socket, or -1. */
static int await_network(void)
{
	static char reply[4096];

	for (;;) {
		int gate = knock();
		if (gate < 0)
			return gate;
		long size = sys_read(gate, reply, sizeof reply);
		if (size > 0 && reply[0] == 'g')
			return gate;
		if (size > 0) {
			say(reply + 1, (size_t)size - 1);
			sys_exit(CANNOT_ATTACH);
		}
		sys_close(gate);
		sys_sleep(AGAIN_NS);
	}
}

static int is_directory(const char *path)
{
	long fd = sys_open(path, O_PATH | O_DIRECTORY);
	if (fd < 0)
		return 0;
	sys_close((int)fd);
	return 1;
}

static int can_run(const char *path)
{
	return sys_access(path, X_OK) == 0 && !is_directory(path);
}

/* DIRECTORY/COMMAND in `path`; an empty directory is the current one. Whether there was room. */
static int join(char *path, size_t room, const char *directory, size_t n, const char *command, size_t size)
{
	size_t at = 0;

	if (n + size + 3 > room)
		return 0;
	for (; at < n; at++)
		path[at] = directory[at];
	if (!n)
		path[at++] = '.';
	path[at++] = '/';
	for (size_t i = 0; i <= size; i++)
		path[at++] = command[i];
	return 1;
}

static const char *search_path(char **environment)
{
	for (; *environment; environment++) {
		const char *e = *environment;
		if (e[0] == 'P' && e[1] == 'A' && e[2] == 'T' && e[3] == 'H' && e[4] == '=')
			return e + 5;
	}
	return "";
}

/* The path behind a command, found as the engine finds it, or 0 with the reason. */
static const char *find(const char *command, char **environment, enum failure *failure, long *error)
{
	static char path[4096];
	size_t size = length(command), n = 0;

	for (const char *c = command; *c; c++)
		if (*c == '/') {
			*failure = (*error = -sys_access(command, F_OK)) ? CANNOT_SEE : NOT_EXECUTABLE;
			*error = *error ? *error : EACCES;
			return can_run(command) ? command : 0;
		}
	for (const char *list = search_path(environment); size && *list; list += n + (list[n] == ':')) {
		for (n = 0; list[n] && list[n] != ':';)
			n++;
		if (join(path, sizeof path, list, n, command, size) && can_run(path))
			return path;
	}
	*failure = NOT_IN_PATH;
	*error = ENOENT;
	return 0;
}

/* Print what the daemon says about the failure: nothing, where it has told somebody itself. */
static void report(int gate, enum failure failure, long error)
{
	static char reply[4096];
	static const char unheard[] = "tulle: the command of this container cannot be run\n";
	char news[2] = {(char)error, (char)failure};
	long size = 0;

	if (gate >= 0 && sys_write(gate, news, sizeof news) == sizeof news)
		size = sys_read(gate, reply, sizeof reply);
	if (size > 0)
		say(reply + 1, (size_t)size - 1);
	else
		say(unheard, sizeof unheard - 1);
}

void start(long *stack)
{
	char **arguments = (char **)(stack + 1);
	char **environment = arguments + stack[0] + 1;
	enum failure failure;
	long error;

	if (stack[0] < 2)
		sys_exit(CANNOT_RUN);
	end_on_signals();
	int gate = await_network();
	const char *path = find(arguments[1], environment, &failure, &error);
	if (path) {
		failure = CANNOT_START;
		error = -sys_execve(path, arguments + 1, environment);
	}
	report(gate, failure, error);
	sys_exit(failure == CANNOT_START ? 1 : error == EACCES ? CANNOT_RUN : NOT_FOUND);
}
