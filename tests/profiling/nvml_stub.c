/* A stand-in for libnvidia-ml.so.1 with one GPU, so that tests drive the real pynvml.
   STUB_INIT, STUB_ENERGY, STUB_POWER hold the error code to return (0 = works). */
#include <stdlib.h>
#include <string.h>
typedef int ret;
typedef struct { unsigned long long total, free, used; } mem;
typedef struct { unsigned int gpu, memory; } util;
static int failing(const char *name) { const char *v = getenv(name); return v ? atoi(v) : 0; }
ret nvmlInitWithFlags(unsigned int f) { return failing("STUB_INIT"); }
ret nvmlInit_v2(void) { return failing("STUB_INIT"); }
ret nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(ret r) { return "stub error"; }
ret nvmlDeviceGetCount_v2(unsigned int *n) { *n = getenv("STUB_NONE") ? 0 : 1; return 0; }
ret nvmlDeviceGetHandleByIndex_v2(unsigned int i, void **d) { *d = (void *)1; return failing("STUB_HANDLE"); }
ret nvmlDeviceGetName(void *d, char *s, unsigned int n) { strncpy(s, "Stub GPU 9000", n); return 0; }
ret nvmlSystemGetDriverVersion(char *s, unsigned int n) { strncpy(s, "999.1", n); return 0; }
ret nvmlDeviceGetMemoryInfo(void *d, mem *m) { m->total = 8ull << 30; m->used = 1ull << 30; m->free = 7ull << 30; return 0; }
ret nvmlDeviceGetUtilizationRates(void *d, util *u) { u->gpu = 42; u->memory = 10; return failing("STUB_UTIL"); }
ret nvmlDeviceGetPowerUsage(void *d, unsigned int *w) { *w = 123000; return failing("STUB_POWER"); }
ret nvmlDeviceGetPowerManagementLimit(void *d, unsigned int *w) { *w = 250000; return 0; }
ret nvmlDeviceGetTemperature(void *d, int s, unsigned int *t) { *t = 55; return 0; }
ret nvmlDeviceGetTemperatureV(void *d, void *t) { ((unsigned int *)t)[2] = 55; return 0; }
ret nvmlDeviceGetTotalEnergyConsumption(void *d, unsigned long long *e) {
  static unsigned long long spent = 1000000; spent += 5000; *e = spent; return failing("STUB_ENERGY");
}
