/* A core guest on WASI that does what it is told with files: the topic is the operation, the payload one path or two.
 * It answers with 0, a file's content, or the number of the error. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char input[1 << 16], output[1 << 16];

static long long answer(const char *text)
{
    size_t n = strlen(text);
    memmove(output, text, n);
    return (long long)(size_t)output << 32 | (long long)n;
}

static long long number(int value)
{
    char text[32];
    snprintf(text, sizeof text, "%d", value);
    return answer(text);
}

static long long done(int failed)
{
    return number(failed ? errno : 0);
}

static long long content(const char *path)
{
    char text[256] = "\"";
    int file = open(path, O_RDONLY);
    if (file < 0)
        return done(1);
    ssize_t n = read(file, text + 1, 200);
    close(file);
    if (n < 0)
        return done(1);
    text[1 + n] = '"';
    return answer(text);
}

static long long put(const char *path, int flags)
{
    int file = open(path, flags, 0666);
    if (file < 0)
        return done(1);
    int failed = write(file, "written", 7) != 7;
    close(file);
    return done(failed);
}

static long long flood(size_t lines)
{
    for (size_t i = 0; i < lines; i++)
        puts("\x1b[31mline\x1b[0m");
    fflush(stdout);
    return number(0);
}

/* Writes `size` bytes in one call. */
static long long wall(size_t size, char what)
{
    char *text = malloc(size);
    memset(text, what, size);
    size_t sent = 0;
    while (sent < size) {
        ssize_t n = write(1, text + sent, size - sent);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    free(text);
    return number(sent == size ? 0 : 1);
}

__attribute__((export_name("hc_abi"))) int hc_abi(void)
{
    return 1;
}

__attribute__((export_name("hc_buf"))) char *hc_buf(int n)
{
    return n < (int)sizeof input ? input : 0;
}

__attribute__((export_name("hc_handle_message"))) long long hc_handle_message(int tn, int pn)
{
    char topic[64], *path = input + tn + 1, *second;
    if (tn >= (int)sizeof topic || pn < 2 || tn + pn >= (int)sizeof input)
        return number(-1);
    memcpy(topic, input, (size_t)tn);
    topic[tn] = 0;
    path[pn - 2] = 0; /* the payload is "text", with the quotes */
    second = strchr(path, '|');
    if (second)
        *second++ = 0;
    else
        second = path;
    if (!strcmp(topic, "read"))
        return content(path);
    if (!strcmp(topic, "write"))
        return put(path, O_WRONLY | O_CREAT);
    if (!strcmp(topic, "append"))
        return put(path, O_WRONLY | O_APPEND);
    if (!strcmp(topic, "symlink"))
        return done(symlink(path, second));
    if (!strcmp(topic, "link"))
        return done(link(path, second));
    if (!strcmp(topic, "rename"))
        return done(rename(path, second));
    if (!strcmp(topic, "unlink"))
        return done(unlink(path));
    if (!strcmp(topic, "mkdir"))
        return done(mkdir(path, 0777));
    if (!strcmp(topic, "env"))
        return getenv(path) ? number(1) : number(0);
    if (!strcmp(topic, "flood"))
        return flood((size_t)atol(path));
    if (!strcmp(topic, "wall"))
        return wall((size_t)atol(path), *second == 'n' ? '\n' : *second);
    if (!strcmp(topic, "sleep"))
        return done(usleep(1000000));
    return number(-2);
}
