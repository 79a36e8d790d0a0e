package sync

import (
	"fmt"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

// So many rollbacks within the hour freeze a Sync: what goes wrong that often is for people to look at.
const (
	rollbacksThatFreeze = 3
	freezingWindow      = time.Hour
)

// frozen tells that nothing new is to be deployed until somebody asks for it (`belay sync --retry`): the last releases
// were rolled back by their health checks, three of them within an hour. Releases are compared by when they were
// stored, with each other only, so that a clock that is off does no harm.
func frozen(records []manifests.Record) bool {
	if len(records) == 0 || !records[len(records)-1].Outcome.Result.WentBack() {
		return false
	}
	newest, count := records[len(records)-1], 0
	for i := len(records) - 1; i >= 0 && !records[i].Outcome.Thawed; i-- {
		if wentBackByItself(records[i]) && within(records[i], newest) {
			count++
		}
	}
	return count >= rollbacksThatFreeze
}

// thaw says how a freeze is ended.
func (s *Syncer) thaw() string {
	return fmt.Sprintf("%d releases within an hour were rolled back: nothing new is deployed until somebody asks for it: belay sync %s -n %s --retry",
		rollbacksThatFreeze, s.Name, s.Namespace)
}

// wentBackByItself tells a release that health checks refused from one that only people took back.
func wentBackByItself(record manifests.Record) bool {
	return record.Outcome.Result.WentBack() && (record.Outcome.Request == "" || record.Outcome.Unhealthy)
}

// within tells whether two releases were stored within the hour.
func within(a, b manifests.Record) bool { return b.At.Sub(a.At).Abs() < freezingWindow }
