package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// row is a line of a table.
type row []string

// goalRows are the goals with how they were reached.
func goalRows(verdicts []Verdict) []row {
	rows := []row{{"goal", "at most", "measured", ""}}
	for _, v := range verdicts {
		met := "met"
		if !v.Met {
			met = "falls short"
		}
		rows = append(rows, row{v.What, number(v.Most) + " " + v.Unit, number(v.Figure), met})
	}
	return rows
}

// resultRows are the steps with what they took.
func resultRows(results Results) []row {
	rows := []row{{"step", "n", "seconds", "floor", "ratio", "applies alone", "requests", "floor", "CPU s", "API server", "floor", "RSS MiB", "renders", "from Git"}}
	for _, r := range results {
		if r.Scenario == "sweep" {
			continue
		}
		line := row{r.Scenario + ": " + r.Step, fmt.Sprint(r.N), medianOf(r.Seconds), medianOf(r.Floor), "", medianOf(r.Applies)}
		if ratio, ok := r.ratio(); ok {
			line[4] = fmt.Sprintf("%.2f", ratio)
		}
		tries := float64(max(1, r.Tries))
		line = append(line, number(r.requestsEach()), "", fmt.Sprintf("%.2f", r.Belay.CPU/tries),
			fmt.Sprintf("%.2f", r.Belay.ServerCPU["kube-apiserver"]/tries), "",
			fmt.Sprintf("%.0f", mebibytes(r.Belay.RSS)), fmt.Sprintf("%.0f", mebibytes(r.Belay.BelowRSS)), kilobytes(float64(r.Belay.GitBytes)/tries))
		if r.FloorCost.Requests != nil {
			line[7], line[10] = fmt.Sprint(r.FloorCost.Requests.total()), fmt.Sprintf("%.2f", r.FloorCost.ServerCPU["kube-apiserver"])
		}
		rows = append(rows, line)
	}
	return rows
}

// requestRows are the requests of each step by kind, those of one try.
func requestRows(results Results) []row {
	head := append(row{"step", "n"}, kinds...)
	rows := []row{append(head, "watch")}
	for _, r := range results {
		if r.Scenario == "sweep" {
			continue
		}
		line := row{r.Scenario + ": " + r.Step, fmt.Sprint(r.N)}
		for _, kind := range rows[0][2:] {
			text := ""
			if count := r.Belay.Requests[kind]; count != 0 {
				text = number(float64(count) / float64(max(1, r.Tries)))
			}
			line = append(line, text)
		}
		rows = append(rows, line)
	}
	return rows
}

// figureRows are what else the steps have.
func figureRows(results Results) []row {
	rows := []row{{"step", "n", "what", ""}}
	for _, r := range results {
		for _, name := range slices.Sorted(maps.Keys(r.Figures)) {
			rows = append(rows, row{r.Scenario + ": " + r.Step, fmt.Sprint(r.N), name, number(r.Figures[name])})
		}
		if len(r.Observed) > 0 {
			rows = append(rows, row{r.Scenario + ": " + r.Step, fmt.Sprint(r.N), "floor: seconds until the controllers are done, too", medianOf(r.Observed)})
		}
		for _, note := range r.Notes {
			rows = append(rows, row{r.Scenario + ": " + r.Step, fmt.Sprint(r.N), note, ""})
		}
	}
	return rows
}

// sweepRows are how fast the floor is with how many requests in flight; no line if that was not run.
func sweepRows(results Results) []row {
	rows := []row{{"in flight", "floor, s"}}
	for _, r := range results {
		if r.Scenario == "sweep" {
			rows = append(rows, row{r.Step, medianOf(r.Floor)})
		}
	}
	return rows
}

// printRows writes a table for people at a terminal, unless it has nothing but its head.
func printRows(out io.Writer, rows []row) {
	if len(rows) < 2 {
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	w.Flush()
	fmt.Fprintln(out)
}

func medianOf(all []float64) string {
	if len(all) == 0 {
		return ""
	}
	return fmt.Sprintf("%.3f", median(all))
}

// number has as many digits as mean something.
func number(x float64) string {
	switch {
	case x == float64(int64(x)):
		return fmt.Sprint(int64(x))
	case x >= 100 || x <= -100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10 || x <= -10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.3f", x)
}

func kilobytes(bytes float64) string {
	if bytes == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f kB", bytes/1000)
}
