/* A stand-in for libnvidia-ml.so.1, so that tests drive the real pynvml. One GPU, or as many as
   STUB_GPUS says; all are cut into MIG parts where STUB_MIG is set. GPU i spends 5000 · (i + 1) mJ
   between readings. STUB_INIT, STUB_HANDLE, STUB_UTIL, STUB_POWER and STUB_ENERGY hold the error code
   to return (0 = works); STUB_ENERGY_OF makes only that GPU fail to count. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef int ret;
typedef struct { unsigned long long total, free, used; } mem;
typedef struct { unsigned int gpu, memory; } util;
static int failing(const char *name) { const char *v = getenv(name); return v ? atoi(v) : 0; }
static int gpus(void) { const char *v = getenv("STUB_GPUS"); return getenv("STUB_NONE") ? 0 : v ? atoi(v) : 1; }
static int number(void *d) { return (int)(long)d - 1; }
ret nvmlInitWithFlags(unsigned int f) { return failing("STUB_INIT"); }
ret nvmlInit_v2(void) { return failing("STUB_INIT"); }
ret nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(ret r) { return "stub error"; }
ret nvmlDeviceGetCount_v2(unsigned int *n) { *n = gpus(); return 0; }
ret nvmlDeviceGetHandleByIndex_v2(unsigned int i, void **d) { *d = (void *)(long)(i + 1); return failing("STUB_HANDLE"); }
ret nvmlDeviceGetIndex(void *d, unsigned int *i) { *i = number(d); return 0; }
/* GPU-i is GPU i; MIG-i-j is part j of it, handle 100 + i. */
ret nvmlDeviceGetHandleByUUID(const char *u, void **d) {
  int i, j;
  if (sscanf(u, "GPU-%d", &i) == 1 && i < gpus()) { *d = (void *)(long)(i + 1); return 0; }
  if (sscanf(u, "MIG-%d-%d", &i, &j) == 2 && i < gpus()) { *d = (void *)(long)(i + 101); return 0; }
  return 6; /* not found */
}
ret nvmlDeviceGetDeviceHandleFromMigDeviceHandle(void *part, void **d) { *d = (void *)((long)part - 100); return 0; }
ret nvmlDeviceGetMigMode(void *d, unsigned int *now, unsigned int *later) { *now = *later = getenv("STUB_MIG") ? 1 : 0; return 0; }
ret nvmlDeviceGetName(void *d, char *s, unsigned int n) { strncpy(s, "Stub GPU 9000", n); return 0; }
ret nvmlSystemGetDriverVersion(char *s, unsigned int n) { strncpy(s, "999.1", n); return 0; }
ret nvmlDeviceGetMemoryInfo(void *d, mem *m) { m->total = 8ull << 30; m->used = 1ull << 30; m->free = 7ull << 30; return 0; }
ret nvmlDeviceGetUtilizationRates(void *d, util *u) { u->gpu = 42; u->memory = 10; return failing("STUB_UTIL"); }
ret nvmlDeviceGetPowerUsage(void *d, unsigned int *w) { *w = 123000; return failing("STUB_POWER"); }
ret nvmlDeviceGetPowerManagementLimit(void *d, unsigned int *w) { *w = 250000; return 0; }
ret nvmlDeviceGetTemperature(void *d, int s, unsigned int *t) { *t = 55; return 0; }
ret nvmlDeviceGetTemperatureV(void *d, void *t) { ((unsigned int *)t)[2] = 55; return 0; }
ret nvmlDeviceGetTotalEnergyConsumption(void *d, unsigned long long *e) {
  static unsigned long long spent[64];
  const char *only = getenv("STUB_ENERGY_OF");
  int i = number(d);
  if (only && atoi(only) == i) return 3; /* not supported */
  spent[i] += 5000ull * (i + 1);
  *e = 1000000 + spent[i];
  return failing("STUB_ENERGY");
}
