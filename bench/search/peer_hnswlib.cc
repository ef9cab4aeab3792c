// hnswlib as Debian packages it, compiled for this machine: M 16, efConstruction 200.

#include <hnswlib/hnswlib.h>

#include <atomic>
#include <thread>

#include "search/subject.h"

namespace mneme::bench {
namespace {

class DebianHnswlib final : public LocalPeer {
 public:
  explicit DebianHnswlib(const Dataset& dataset) : LocalPeer(dataset), space_(dataset.dimension()) {}

  std::string name() const override { return "hnswlib-debian M=16 efC=200"; }

  Built build(unsigned threads) override {
    return measure_build([&] {
      index_ = std::make_unique<hnswlib::HierarchicalNSW<float>>(&space_, dataset().size(), 16, 200);
      for_each(dataset().size(), threads, [&](std::size_t i) { index_->addPoint(dataset().row(i).data(), i); });
    });
  }

  std::vector<std::vector<Setting>> ladders(std::size_t k) const override {
    std::vector<Setting> ladder;
    for (const double ef : geometric(static_cast<double>(k), 8192)) ladder.push_back({{"ef", ef}});
    return {ladder};
  }

 private:
  void configure(const Setting& setting, unsigned threads) override {
    index_->setEf(static_cast<std::size_t>(setting[0].second));
    threads_ = threads;
  }

  void search(std::span<const float> queries, std::size_t k, std::span<std::int64_t> rows) override {
    const std::size_t dimension = dataset().dimension();
    for_each(queries.size() / dimension, threads_, [&](std::size_t i) {
      auto found = index_->searchKnn(queries.data() + i * dimension, k);
      for (std::size_t rank = k; rank-- > 0;) {
        rows[i * k + rank] = rank < found.size() ? static_cast<std::int64_t>(found.top().second) : -1;
        if (rank < found.size()) found.pop();
      }
    });
  }

  template <class Work>
  static void for_each(std::size_t count, unsigned threads, const Work& work) {
    if (threads == 1 || count == 1) {
      for (std::size_t i = 0; i < count; ++i) work(i);
      return;
    }
    std::atomic<std::size_t> next{0};
    std::vector<std::thread> workers;
    for (unsigned t = 0; t < threads; ++t)
      workers.emplace_back([&] {
        for (std::size_t i = next++; i < count; i = next++) work(i);
      });
    for (std::thread& worker : workers) worker.join();
  }

  hnswlib::InnerProductSpace space_;
  std::unique_ptr<hnswlib::HierarchicalNSW<float>> index_;
  unsigned threads_ = 1;
};

}  // namespace

std::unique_ptr<Peer> make_debian_hnswlib(const Dataset& dataset) { return std::make_unique<DebianHnswlib>(dataset); }

}  // namespace mneme::bench
