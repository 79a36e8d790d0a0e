package cluster

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testBuilder builds into a cache of its own, and collects its reports.
func testBuilder(t *testing.T) (b builder, reports *[]string) {
	t.Helper()
	reports = new([]string)
	var mu sync.Mutex
	b, err := newBuilder("", func(line string) {
		mu.Lock()
		defer mu.Unlock()
		*reports = append(*reports, line)
	})
	if err != nil {
		t.Fatal(err)
	}
	b.cache = t.TempDir()
	return b, reports
}

func TestOfTwoThatNeedAProgramOneBuildsIt(t *testing.T) {
	b, reports := testBuilder(t)
	var dirs [2]string
	var wg sync.WaitGroup
	for i := range dirs {
		wg.Go(func() {
			var err error
			if dirs[i], err = b.build(t.Context(), pause); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if dirs[0] != dirs[1] {
		t.Errorf("built in %s and %s", dirs[0], dirs[1])
	}
	if diff := cmp.Diff([]string{"building pause … 0s"}, *reports); diff != "" {
		t.Errorf("reports (-want +got):\n%s", diff)
	}
}

func TestABuildThatIsInterruptedLeavesOnlyItsLock(t *testing.T) {
	b, _ := testBuilder(t)
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	b.report = func(string) { cancel(stop) } // the first report comes when the build starts
	if _, err := b.build(ctx, pause); !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
	entries, err := os.ReadDir(b.cache)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".lock") {
			t.Errorf("%s is left", e.Name())
		}
	}
}
