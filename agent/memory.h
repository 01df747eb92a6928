/* Keeps davitd small while it has nothing to do. */
#pragma once

/* Before the first thread: few heaps, whatever the number of threads. */
void memory_setup(void);
/* Gives back to the kernel what is not needed now: free heap, and pages of programs and libraries that were only used to start or by the last
 * requests. They come back from the page cache when they are touched again. */
void memory_release(void);
