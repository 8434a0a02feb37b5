// The least that any server must do for the same work: frames in, one splice, frames out, one write a client
// and turn. No login, no rights, no limits, no check of what it is sent. With a nats-server's path and a port
// for it, it starts one, and every message goes through it, over TCP.
//
//   cc -O2 -o loop loop.c && ./loop PORT [NATS-SERVER NATS-PORT]
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { FILES = 65536, TOPICS = 4096, READ = 65536, EVENTS = 1024, NAME = 64 };

struct buffer { char *at; size_t size, room; };
struct topic { char name[NAME]; size_t length; struct buffer pending; int *members; size_t count, room; };
struct client { int there, open, blocked; struct buffer in, out; };

static struct client clients[FILES];
static struct topic topics[TOPICS];
static size_t topic_count, dirty[TOPICS], dirty_count;
static int poll_fd, bus = -1;

static void die(const char *what) { perror(what); exit(1); }

static void append(struct buffer *to, const void *data, size_t size) {
  if (to->size + size > to->room) {
    to->room = (to->size + size) * 2;
    if (!(to->at = realloc(to->at, to->room))) die("realloc");
  }
  memcpy(to->at + to->size, data, size);
  to->size += size;
}

static void drop(struct buffer *from, size_t size) {
  from->size -= size;
  if (from->size) memmove(from->at, from->at + size, from->size);
  else { free(from->at); *from = (struct buffer){0}; }
}

static void watch(int fd, int how, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  if (epoll_ctl(poll_fd, how, fd, &event)) die("epoll_ctl");
}

static void push(int fd, const char *data, size_t size) {
  struct client *to = &clients[fd];
  ssize_t sent = 0;
  if (!to->there) return;
  if (!to->out.size && (sent = send(fd, data, size, MSG_NOSIGNAL)) < 0) sent = 0;
  if ((size_t)sent == size) return;
  append(&to->out, data + sent, size - sent);
  if (!to->blocked) { to->blocked = 1; watch(fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT); }
}

static void drain(int fd) {
  struct client *to = &clients[fd];
  ssize_t sent = send(fd, to->out.at, to->out.size, MSG_NOSIGNAL);
  if (sent > 0) drop(&to->out, sent);
  if (!to->out.size) { to->blocked = 0; watch(fd, EPOLL_CTL_MOD, EPOLLIN); }
}

static void hang_up(int fd) {
  if (fd == bus) { fprintf(stderr, "the bus hung up\n"); exit(1); }
  for (struct topic *each = topics; each < topics + topic_count; each++)
    for (size_t at = 0; at < each->count; at++)
      if (each->members[at] == fd) each->members[at--] = each->members[--each->count];
  free(clients[fd].in.at);
  free(clients[fd].out.at);
  clients[fd] = (struct client){0};
  close(fd);
}

// RFC 6455 answers a key with the SHA-1 (RFC 3174) of the key and a constant, in base64.
static void accept_key(const char *key, char *out) {
  uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0}, w[80];
  unsigned char block[128] = {0}, sum[21] = {0};
  size_t size = snprintf((char *)block, 120, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
  block[size] = 0x80;
  block[126] = size * 8 >> 8;
  block[127] = size * 8;
  for (int half = 0; half < 2; half++) {
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 80; i++) {
      if (i < 16) { uint32_t word; memcpy(&word, block + half * 64 + i * 4, 4); w[i] = ntohl(word); }
      else { uint32_t x = w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16]; w[i] = x << 1 | x >> 31; }
      uint32_t f = i < 20 ? ((b & c) | (~b & d)) + 0x5A827999 : i < 40 ? (b ^ c ^ d) + 0x6ED9EBA1
                 : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDC : (b ^ c ^ d) + 0xCA62C1D6;
      uint32_t next = (a << 5 | a >> 27) + f + e + w[i];
      e = d; d = c; c = b << 30 | b >> 2; b = a; a = next;
    }
    h[0] += a; h[1] += b; h[2] += c; h[3] += d; h[4] += e;
  }
  for (int i = 0; i < 20; i++) sum[i] = h[i / 4] >> (24 - i % 4 * 8);
  const char *digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (int i = 0; i < 7; i++) {
    uint32_t group = sum[i * 3] << 16 | sum[i * 3 + 1] << 8 | sum[i * 3 + 2];
    for (int j = 0; j < 4; j++) *out++ = digits[group >> (18 - j * 6) & 63];
  }
  strcpy(out - 1, "=");
}

static struct topic *topic_of(const char *name, size_t length) {
  for (size_t each = 0; each < topic_count; each++)
    if (topics[each].length == length && !memcmp(topics[each].name, name, length)) return &topics[each];
  if (topic_count == TOPICS || length >= NAME) { fprintf(stderr, "too many topics\n"); exit(1); }
  struct topic *made = &topics[topic_count++];
  memcpy(made->name, name, made->length = length);
  if (bus >= 0) {
    char line[NAME + 32];
    append(&clients[bus].out, line, sprintf(line, "SUB %s %zu\r\n", made->name, topic_count - 1));
  }
  return made;
}

static void deliver(struct topic *to, const char *data, size_t size) {
  static const char head[] = "{\"type\":\"message\",\"subject\":\"", middle[] = "\",\"data\":";
  size_t whole = sizeof head - 1 + to->length + sizeof middle - 1 + size + 1;
  unsigned char frame[10] = {0x81};
  int used = 2;
  if (whole < 126) frame[1] = whole;
  else if (whole < 65536) { frame[1] = 126; frame[2] = whole >> 8; frame[3] = whole; used = 4; }
  else { frame[1] = 127; for (int i = 0; i < 8; i++) frame[2 + i] = whole >> (56 - i * 8); used = 10; }
  if (!to->pending.size) dirty[dirty_count++] = to - topics;
  append(&to->pending, frame, used);
  append(&to->pending, head, sizeof head - 1);
  append(&to->pending, to->name, to->length);
  append(&to->pending, middle, sizeof middle - 1);
  append(&to->pending, data, size);
  append(&to->pending, "}", 1);
}

static void subscribe(int fd, const char *name, size_t length) {
  struct topic *to = topic_of(name, length);
  if (to->count == to->room) {
    to->room = to->room * 2 + 4;
    if (!(to->members = realloc(to->members, to->room * sizeof *to->members))) die("realloc");
  }
  to->members[to->count++] = fd;
  char answer[NAME + 64];
  int size = sprintf(answer + 2, "{\"type\":\"subscribed\",\"subject\":\"%s\"}", to->name);
  answer[0] = (char)0x81;
  answer[1] = size;
  push(fd, answer, size + 2);
}

static void obey(int fd, char *said, size_t size) {
  static const char publish[] = "{\"type\":\"publish\",\"subject\":\"";
  static const char join[] = "{\"type\":\"subscribe\",\"subject\":\"";
  int publishes = size > sizeof publish && !memcmp(said, publish, sizeof publish - 1);
  char *name = said + (publishes ? sizeof publish : sizeof join) - 1;
  char *end = memchr(name, '"', size - (name - said));
  if (!end) return hang_up(fd);
  if (!publishes) return subscribe(fd, name, end - name);
  char *data = end + sizeof "\",\"data\":" - 1;
  size_t length = said + size - 1 - data;
  struct topic *to = topic_of(name, end - name);
  if (bus < 0) return deliver(to, data, length);
  char line[NAME + 32];
  append(&clients[bus].out, line, sprintf(line, "PUB %s %zu\r\n", to->name, length));
  append(&clients[bus].out, data, length);
  append(&clients[bus].out, "\r\n", 2);
}

// Whole frames at the start of what a client sent; gives how many bytes they were.
static size_t frames(int fd, char *data, size_t size) {
  size_t at = 0;
  while (size - at >= 6) {
    unsigned char *frame = (unsigned char *)data + at;
    size_t length = frame[1] & 127, begin = 2;
    if (length == 126) { length = frame[2] << 8 | frame[3]; begin = 4; }
    else if (length == 127) {
      if (size - at < 10) break;
      length = 0;
      for (int i = 0; i < 8; i++) length = length << 8 | frame[2 + i];
      begin = 10;
    }
    if (size - at < begin + 4 + length) break;
    uint32_t mask;
    memcpy(&mask, frame + begin, 4);
    uint64_t wide = (uint64_t)mask << 32 | mask, word;
    unsigned char *payload = frame + begin + 4;
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
      memcpy(&word, payload + i, 8);
      word ^= wide;
      memcpy(payload + i, &word, 8);
    }
    for (; i < length; i++) payload[i] ^= frame[begin + i % 4];
    if ((frame[0] & 15) == 8) { hang_up(fd); return 0; }
    obey(fd, (char *)payload, length);
    if (!clients[fd].there) return 0;
    at += begin + 4 + length;
  }
  return at;
}

static size_t opening(int fd, char *data, size_t size) {
  char *end = memmem(data, size, "\r\n\r\n", 4), *key = memmem(data, size, "Sec-WebSocket-Key: ", 19);
  char answer[160], sum[32];
  if (!end || !key) return 0;
  accept_key(key + 19, sum);
  push(fd, answer, sprintf(answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                   "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", sum));
  clients[fd].open = 1;
  return end + 4 - data;
}

// Whole lines of NATS, each MSG with its payload behind it.
static size_t lines(int fd, char *data, size_t size) {
  size_t at = 0;
  char *end;
  while ((end = memmem(data + at, size - at, "\r\n", 2))) {
    char *line = data + at;
    size_t past = end + 2 - data;
    if (!memcmp(line, "MSG ", 4)) {
      char *sid = memchr(line + 4, ' ', end - line - 4), *count = memrchr(line, ' ', end - line);
      size_t length = strtoul(count, NULL, 10);
      if (size - past < length + 2) break;
      deliver(&topics[strtoul(sid, NULL, 10)], data + past, length);
      past += length + 2;
    } else if (!memcmp(line, "PING", 4)) append(&clients[fd].out, "PONG\r\n", 6);
    else if (*line == '-') { fprintf(stderr, "%.*s\n", (int)(end - line), line); exit(1); }
    at = past;
  }
  return at;
}

static void take(int fd) {
  static char fresh[READ];
  struct client *from = &clients[fd];
  ssize_t got = recv(fd, fresh, READ, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) return hang_up(fd);
  char *data = fresh;
  size_t size = got, used = 0;
  if (from->in.size) { append(&from->in, fresh, got); data = from->in.at; size = from->in.size; }
  if (fd == bus) used = lines(fd, data, size);
  else {
    if (!from->open && !(used = opening(fd, data, size)) && size > READ) return hang_up(fd);
    if (from->open) used += frames(fd, data + used, size - used);
    if (!from->there) return;
  }
  if (data != fresh) drop(&from->in, used);
  else if (used < size) append(&from->in, data + used, size - used);
}

static void admit(int fd) {
  int yes = 1;
  if (fd >= FILES) { close(fd); return; }
  ioctl(fd, FIONBIO, &yes);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  clients[fd].there = 1;
  watch(fd, EPOLL_CTL_ADD, EPOLLIN);
}

static struct sockaddr_in local(const char *port) {
  struct in_addr here = {.s_addr = htonl(INADDR_LOOPBACK)};
  return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(port)), .sin_addr = here};
}

static void start_bus(const char *program, const char *port) {
  struct sockaddr_in where = local(port);
  if (!fork()) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    execl(program, "nats-server", "-a", "127.0.0.1", "-p", port, (char *)NULL);
    die(program);
  }
  for (int tries = 0; tries < 500; tries++, usleep(20000)) {
    bus = socket(AF_INET, SOCK_STREAM, 0);
    if (!connect(bus, (struct sockaddr *)&where, sizeof where)) {
      static const char hello[] = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";
      send(bus, hello, sizeof hello - 1, MSG_NOSIGNAL);
      return admit(bus);
    }
    close(bus);
  }
  die("the bus");
}

int main(int count, char **words) {
  struct sockaddr_in where = local(words[1]);
  struct epoll_event events[EVENTS];
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
  poll_fd = epoll_create1(0);
  if (count > 3) start_bus(words[2], words[3]);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener, (struct sockaddr *)&where, sizeof where) || listen(listener, 4096)) die("listen");
  watch(listener, EPOLL_CTL_ADD, EPOLLIN);
  for (;;) {
    int ready = epoll_wait(poll_fd, events, EVENTS, -1);
    for (int each = 0; each < ready; each++) {
      int fd = events[each].data.fd;
      if (fd == listener) {
        int fresh;
        while ((fresh = accept(listener, NULL, NULL)) >= 0) admit(fresh);
        continue;
      }
      if (events[each].events & EPOLLOUT && clients[fd].there) drain(fd);
      if (events[each].events & ~EPOLLOUT && clients[fd].there) take(fd);
    }
    if (bus >= 0 && clients[bus].out.size && !clients[bus].blocked) {
      struct buffer out = clients[bus].out;
      clients[bus].out = (struct buffer){0};
      push(bus, out.at, out.size);
      free(out.at);
    }
    for (size_t each = 0; each < dirty_count; each++) {
      struct topic *to = &topics[dirty[each]];
      for (size_t at = 0; at < to->count; at++) push(to->members[at], to->pending.at, to->pending.size);
      to->pending.size = 0;
    }
    dirty_count = 0;
  }
}
