/* A PKCS#11 module in front of SoftHSM's that does what cards do and SoftHSM does not: it locks
   after three wrong PINs, has a reader with keys of its own, takes data in pieces, hangs, is
   pulled out while it works, and calls a wrong padding a fault of the device.

   CARD_MODULE is SoftHSM's module, CARD_FOLDER a folder whose files say what happens:
   "keypad" (its content is the PIN that is typed there), "hang", "removed" (for one operation),
   "device-error". */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long number;

/* CK_FUNCTION_LIST: a version and 68 functions, in the order of the standard. */
struct list {
    unsigned char version[2];
    void *call[68];
};

enum { GET_LIST = 3, SLOTS = 4, TOKEN_INFO = 6, LOGIN = 18, DECRYPT = 34, DECRYPT_UPDATE = 35,
       DECRYPT_FINAL = 36, SIGN = 43, SIGN_UPDATE = 44, SIGN_FINAL = 45 };

enum { DEVICE_ERROR = 0x30, DEVICE_REMOVED = 0x32, PIN_INCORRECT = 0xA0, PIN_LOCKED = 0xA4 };
enum { USER = 1 };
enum { KEYPAD = 0x100, COUNT_LOW = 0x10000, FINAL_TRY = 0x20000, LOCKED = 0x40000 };
enum { TRIES = 3, FLAGS_AT = 96 };

static struct list ours, *theirs;
static int wrong;
static unsigned char piece[4096];
static number pieces;

static int told(const char *name, char *text, int size)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("CARD_FOLDER"), name);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    if (text) {
        size_t read = fread(text, 1, size - 1, file);
        text[read] = 0;
    }
    fclose(file);
    return 1;
}

static int told_once(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("CARD_FOLDER"), name);
    return unlink(path) == 0;
}

static number slots(unsigned char present, number *all, number *count)
{
    for (int i = 0; i < 6000 && told("hang", 0, 0); i++)
        usleep(10000);
    return ((number (*)(unsigned char, number *, number *))theirs->call[SLOTS])(present, all, count);
}

static number token_info(number slot, unsigned char *info)
{
    number said = ((number (*)(number, unsigned char *))theirs->call[TOKEN_INFO])(slot, info);
    number flags;
    memcpy(&flags, info + FLAGS_AT, sizeof flags);
    flags &= ~(number)(COUNT_LOW | FINAL_TRY | LOCKED);
    if (wrong > 0)
        flags |= COUNT_LOW;
    if (wrong == TRIES - 1)
        flags |= FINAL_TRY;
    if (wrong >= TRIES)
        flags |= LOCKED;
    if (told("keypad", 0, 0))
        flags |= KEYPAD;
    memcpy(info + FLAGS_AT, &flags, sizeof flags);
    return said;
}

static number login(number session, number who, unsigned char *pin, number length)
{
    char typed[100];
    if (wrong >= TRIES)
        return PIN_LOCKED;
    if (told("keypad", typed, sizeof typed)) {
        if (pin)
            return PIN_INCORRECT;
        pin = (unsigned char *)typed;
        length = strlen(typed);
    }
    number said = ((number (*)(number, number, unsigned char *, number))theirs->call[LOGIN])(
        session, who, pin, length);
    if (who != USER)
        return said;
    if (said == 0)
        wrong = 0;
    if (said == PIN_INCORRECT && ++wrong >= TRIES)
        return PIN_LOCKED;
    return said;
}

typedef number (*whole)(number, unsigned char *, number, unsigned char *, number *);

static number sign(number session, unsigned char *data, number length, unsigned char *out, number *size)
{
    if (out && told_once("removed"))
        return DEVICE_REMOVED;
    return ((whole)theirs->call[SIGN])(session, data, length, out, size);
}

static number decrypt(number session, unsigned char *data, number length, unsigned char *out,
                      number *size)
{
    number said = ((whole)theirs->call[DECRYPT])(session, data, length, out, size);
    return out && said && told("device-error", 0, 0) ? DEVICE_ERROR : said;
}

static number gather(unsigned char *data, number length)
{
    if (pieces + length > sizeof piece)
        return DEVICE_ERROR;
    memcpy(piece + pieces, data, length);
    pieces += length;
    return 0;
}

static number sign_update(number session, unsigned char *data, number length)
{
    (void)session;
    return gather(data, length);
}

static number finish(int call, number session, unsigned char *out, number *size)
{
    number said = ((whole)theirs->call[call])(session, piece, pieces, out, size);
    if (out)
        pieces = 0;
    return said;
}

static number sign_final(number session, unsigned char *out, number *size)
{
    return finish(SIGN, session, out, size);
}

static number decrypt_update(number session, unsigned char *data, number length, unsigned char *out,
                             number *size)
{
    (void)session;
    *size = 0;
    return out ? gather(data, length) : 0;
}

static number decrypt_final(number session, unsigned char *out, number *size)
{
    return finish(DECRYPT, session, out, size);
}

number C_GetFunctionList(struct list **list)
{
    void *library = dlopen(getenv("CARD_MODULE"), RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return DEVICE_ERROR;
    number (*get)(struct list **) = (number (*)(struct list **))dlsym(library, "C_GetFunctionList");
    number said = get(&theirs);
    if (said)
        return said;
    ours = *theirs;
    ours.call[GET_LIST] = C_GetFunctionList;
    ours.call[SLOTS] = slots;
    ours.call[TOKEN_INFO] = token_info;
    ours.call[LOGIN] = login;
    ours.call[DECRYPT] = decrypt;
    ours.call[DECRYPT_UPDATE] = decrypt_update;
    ours.call[DECRYPT_FINAL] = decrypt_final;
    ours.call[SIGN] = sign;
    ours.call[SIGN_UPDATE] = sign_update;
    ours.call[SIGN_FINAL] = sign_final;
    *list = &ours;
    return 0;
}
