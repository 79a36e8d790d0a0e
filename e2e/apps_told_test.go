package e2e

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"
)

// told is what a Sync says of itself, with the reasons.
type told struct {
	Status struct {
		Phase  string
		Wanted struct{ Commit string }
		Held   *struct{ Commit, Reason, Message string }
		// History begins with the newest release.
		History    []struct{ Commit, Result, Reason string }
		Conditions []struct{ Type, Status, Reason, Message string }
	}
}

// told asks the Sync "app" of the script's namespace.
func (s *script) told(t *testing.T) told {
	t.Helper()
	var sync told
	s.api.get(t, s.sync(), &sync)
	return sync
}

// condition is a condition's status, reason and message; empty where there is none of that type.
func (a told) condition(kind string) (status, reason, message string) {
	for _, c := range a.Status.Conditions {
		if c.Type == kind {
			return c.Status, c.Reason, c.Message
		}
	}
	return "", "", ""
}

// reports is the phase with the reasons, in a line.
func (a told) reports() string {
	_, reason, message := a.condition("Ready")
	text := fmt.Sprintf("%s, Ready: %s: %s", cmp.Or(a.Status.Phase, "no phase"), reason, message)
	if held := a.Status.Held; held != nil {
		text += fmt.Sprintf("; held %.7s: %s: %s", held.Commit, held.Reason, held.Message)
	}
	return text
}

// result is what became of a commit: empty while that is open.
func (a told) result(commit string) string {
	i := slices.IndexFunc(a.Status.History, func(entry struct{ Commit, Result, Reason string }) bool { return entry.Commit == commit })
	if i < 0 {
		return ""
	}
	if result := a.Status.History[i].Result; slices.Contains([]string{"Kept", "RolledBack", "Failed", "RollbackFailed"}, result) {
		return result
	}
	return ""
}

// ends waits until it is known what became of the pushed release, and answers that with the whole account and the time since
// s.started.
func (s *script) ends(t *testing.T, most time.Duration) (result string, sync told, took time.Duration) {
	t.Helper()
	head, err := s.git("rev-parse", "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	for ; ; time.Sleep(100 * time.Millisecond) {
		sync, took = s.told(t), time.Since(s.started)
		if result = sync.result(head); result != "" {
			return result, sync, took
		}
		if took > most {
			t.Fatalf("%s: after %s it is not known what becomes of %.7s: %s", s.namespace, most, head, sync.reports())
		}
	}
}

// look asks for a look at Git now, as belay sync does.
func (s *script) look(t *testing.T) {
	t.Helper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{"belay.dev/sync-at":%q}}}`, time.Now().UTC().Format(time.RFC3339Nano))
	s.api.ask(t, http.MethodPatch, s.sync(), "application/merge-patch+json", patch, &object{})
}
