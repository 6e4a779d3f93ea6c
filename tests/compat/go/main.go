// The Go clients: one scenario (scenario.go) for all, at the same time, one file a client. Prints 'ok' and 'FAIL' lines.
package main

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/IBM/sarama"
)

var (
	bootstrap = strings.Split(os.Args[1], ",")
	run       = fmt.Sprintf("go-%d", os.Getpid())
)

func main() {
	clients := []client{
		newFranz("franz-go", false),
		newFranz("franz-go of KIP-848", true),
		newSarama("sarama as 2.8", sarama.V2_8_0_0),
		newSarama("sarama as 4.3", sarama.MaxVersion),
		newKafkaGo(),
	}
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() { scenario(c) })
	}
	all.Wait()
	for _, c := range clients {
		check(c, "reads what the others wrote", readsTheOthers)
		c.close()
	}
	if failures.Load() > 0 {
		os.Exit(1)
	}
}
