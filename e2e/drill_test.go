// Promise: a release that is not healthy is refused with the reason that it has, and rolled back. Each case of the drill is
// one kind of such a release: those that need containers that run are in drill_real_test.go, the others in
// drill_simulated_test.go.

package e2e

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	gosync "sync"
	"testing"
	"text/tabwriter"
	"time"
)

// sickness is one kind of release that is not healthy. It comes as a commit on top of testdata/drill/app.yaml, which is kept
// by then: a kustomization that patches it. In all of its texts $NS is the namespace, $IMAGE the application's image (see
// testdata/drill/app), $REGISTRY where that is.
type sickness struct {
	name    string
	reason  string // all of status.held.reason, as a regular expression
	message string // some of its message, likewise

	change string // what the bad release has otherwise: strategic merge patches
	added  string // objects that only the bad release has
	good   string // objects that the good release has beside app.yaml
	before string // objects that people have made before
	then   string // what people do with kubectl once the bad release is kept: it turns bad by that, within watchFor
	health string // spec.health of the Sync; the default is usualHealth
	spec   string // more of the Sync's spec, as lines

	// notYet says that the release is refused before the first write: there is nothing to roll back, and the reason is that of
	// the condition Ready.
	notYet bool
	// leaves are the objects that a rollback leaves, by promise: Namespaces, CRDs, PVCs, PVs.
	leaves []string
}

// usualHealth has a timeout that no case comes near to by itself: a reason that is told later is TimedOut.
const usualHealth = "{timeout: 4m, stableFor: 2s}"

// TestDrill pushes each kind of bad release on top of a good one. The times are from the push to the phases that are named.
// DRILL is a regular expression of the cases to be run.
func TestDrill(t *testing.T) {
	t.Parallel()
	var all results
	t.Cleanup(func() { t.Logf("\n%s", all.table()) })
	var nodes gosync.WaitGroup
	nodes.Go(func() {
		t.Run("simulated", func(t *testing.T) {
			c := startSimulated(t)
			startAgent(t, c)
			d := newDrill(t, c)
			d.control(t)
			d.run(t, simulatedSicknesses, 16, &all)
		})
	})
	nodes.Go(func() {
		t.Run("real", func(t *testing.T) {
			c := startCluster(t, "real")
			installAgent(t, c)
			newDrill(t, c).run(t, realSicknesses, 8, &all)
		})
	})
	nodes.Wait()
}

// run plays so many cases at a time, and looks whether they kept out of each other's way.
func (d *drill) run(t *testing.T, cases []sickness, most int, all *results) {
	chosen := regexp.MustCompile(cmp.Or(os.Getenv("DRILL"), "."))
	bystander := d.patient(t, sickness{name: "bystander"})
	bystander.deploy(t)
	ended := []*patient{bystander}

	var mu gosync.Mutex
	var group gosync.WaitGroup
	slots := make(chan struct{}, most)
	for _, c := range cases {
		if !chosen.MatchString(c.name) {
			continue
		}
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			t.Run(c.name, func(t *testing.T) {
				p := d.patient(t, c)
				defer func() { all.add(p.took, t.Failed()) }()
				p.play(t)
				mu.Lock()
				defer mu.Unlock()
				ended = append(ended, p)
			})
		})
	}
	group.Wait()
	for _, p := range ended {
		p.checkUntouched(t)
	}
}

// play deploys the good release, pushes the bad one, and sees it go.
func (p *patient) play(t *testing.T) {
	t.Helper()
	p.deploy(t)
	was := p.snapshot(t)
	pushed := time.Now()
	p.push(t, "bad", p.badRelease())
	p.look(t)
	took := &p.took
	if p.notYet {
		p.follow(t, 2*time.Minute, "the release not to be begun", p.isRefusedBefore)
		took.reason, took.message = p.seen.ready().Reason, p.seen.ready().Message
		took.refused = time.Since(pushed)
	} else {
		if p.then != "" {
			p.follow(t, 2*time.Minute, "the bad release to be kept first", p.isKept)
			pushed = time.Now()
			kubectl(t, p.target, "", append([]string{"--namespace=" + p.namespace}, strings.Fields(p.then)...)...)
		}
		p.follow(t, 5*time.Minute, "the bad release to be refused", p.isRefused)
		took.refused = time.Since(pushed)
		p.follow(t, 3*time.Minute, "the bad release to be rolled back", p.isRolledBack)
		took.rolledBack = time.Since(pushed)
		took.reason, took.message = p.seen.Status.Held.Reason, p.seen.Status.Held.Message
		if p.seen.Status.Held.Commit != p.head {
			t.Errorf("held is commit %s, not %s", p.seen.Status.Held.Commit, p.head)
		}
	}
	if !regexp.MustCompile("^(" + p.reason + ")$").MatchString(took.reason) {
		t.Errorf("reason %q, not %q: %s", took.reason, p.reason, took.message)
	}
	if !regexp.MustCompile(p.message).MatchString(took.message) {
		t.Errorf("%s: the message tells nothing of %q: %s", took.reason, p.message, took.message)
	}
	p.checkBack(t, was)
	p.rest(t)
}

// result is how a case went.
type result struct {
	name, node, reason, message string
	refused, rolledBack         time.Duration // since the push; rolledBack is 0 where nothing was written
	failed                      bool
}

// results are those of all cases so far.
type results struct {
	mu  gosync.Mutex
	all []result
}

func (r *results) add(one result, failed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one.failed = failed
	r.all = append(r.all, one)
}

// table lists the cases from the fastest to the slowest, with the median and the worst.
func (r *results) table() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortFunc(r.all, func(a, b result) int { return cmp.Compare(a.rolledBack, b.rolledBack) })
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CASE\tNODE\tREASON\tREFUSED\tROLLED BACK\tMESSAGE")
	var times []time.Duration
	right := 0
	for _, one := range r.all {
		back, name := "-", one.name
		if one.rolledBack > 0 {
			times = append(times, one.rolledBack)
			back = seconds(one.rolledBack)
		}
		if one.failed {
			name += " (WRONG)"
		} else {
			right++
		}
		message := strings.ReplaceAll(one.message, "\n", " ")
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.100s\n", name, one.node, one.reason, seconds(one.refused), back, message)
	}
	w.Flush()
	fmt.Fprintf(&text, "%d of %d kinds of bad release told rightly, %d rolled back", right, len(r.all), len(times))
	if len(times) > 0 {
		fmt.Fprintf(&text, "; from push to rolled back: median %s, worst %s", seconds(times[len(times)/2]), seconds(times[len(times)-1]))
	}
	return text.String()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }

// goodRelease is the files of the release that every case starts from.
func (p *patient) goodRelease() map[string]string {
	return map[string]string{
		"kustomization.yaml": "resources: [app.yaml]\ncommonAnnotations: {release: good}\n",
		"app.yaml":           p.d.base + "\n---\n" + p.good,
	}
}

// badRelease is the files of the case's. Its annotation is in the pod templates, too, so that pods are new in any case.
func (p *patient) badRelease() map[string]string {
	files := p.goodRelease()
	kustomization := "resources: [app.yaml%s]\n%scommonAnnotations: {release: bad}\n"
	resources, patches := "", ""
	if p.added != "" {
		resources, files["added.yaml"] = ", added.yaml", p.added
	}
	if p.change != "" {
		patches, files["change.yaml"] = "patches: [{path: change.yaml}]\n", p.change
	}
	files["kustomization.yaml"] = fmt.Sprintf(kustomization, resources, patches)
	return files
}

// push makes these files the repository's content, and has the Sync look. As elsewhere in the tests, a push comes with a
// request for a look: how often Git is polled is not what is measured.
func (p *patient) push(t *testing.T, message string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(p.clone, name), []byte(p.expand(text)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p.commit(t, message)
	head, err := p.git("rev-parse", "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	p.head = head
}
